import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { JobBody, JobQuery, type JobSettings } from '../../api/jobs.js';
import { unpackedBody } from '../http/body-stream.js';
import type { Caller } from '../http/caller.js';
import { withJson } from '../http/json-body.js';
import type { SharedMemory } from '../http/memory-budget.js';
import { fileRules, openInRoot } from '../http/path-root.js';
import { shardRequestOf, type ShardRequest } from './shards/list.js';
import { addField, fieldTooLong, openFormParser, toUploadError } from '../http/upload.js';
import { fromWords } from '../http/valid.js';

const FIELDS = 16;
const FIELD_BYTES = 4096;
const LIST_NAME = /\.(txt|jsonl|ndjson|csv)$/i;

/** Contents of a request: settings, and the list as it arrives. */
export interface JobRequest {
  settings(): JobSettings;
  readonly list: AsyncIterable<Uint8Array | string>;
  /** Instead of the list, for a job over shards. @default none */
  readonly shards?: ShardRequest | undefined;
}

/** Reads a job request while its list arrives: as a form, as the body, or as JSON. */
export async function withJobRequest<T>(
  call: Caller,
  { config, memory }: { readonly config: ServeConfig; readonly memory: SharedMemory },
  work: (request: JobRequest) => Promise<T>,
): Promise<T> {
  const { req } = call;
  if (req.is('multipart/form-data') !== false && req.is('multipart/form-data') !== null)
    return fromForm(call, config.limits.manifest_mb * 1024 ** 2, work);
  if (req.is(['text/plain', 'application/x-ndjson', 'application/jsonl', 'text/uri-list'])) {
    const settings = fromWords(JobQuery, req.query as Record<string, unknown>, 'query');
    // A destroyed request could not receive the error.
    const body = unpackedBody(req, config.limits.manifest_mb * 1024 ** 2);
    return work({ settings: () => settings, list: body.iterator({ destroyOnReturn: body !== req }) });
  }
  return withJson(call, JobBody, { config, memory }, async (body) => {
    const shards = shardRequestOf(body);
    const { items, manifest_path: path, shards: _patterns, out: _out, format: _format, keep: _keep, ...rest } = body;
    const { limit: _limit, ...settings } = rest;
    if (path === undefined) {
      const list = Readable.from((items ?? []).map((item) => `${JSON.stringify(item)}\n`));
      return work({ settings: () => settings, list, shards });
    }
    requireListName(path, path);
    const file = await openInRoot(fileRules(config), path);
    try {
      requireListName(path, file.below.replace(/ \(deleted\)$/, ''));
      const list = createReadStream('', { fd: file.descriptor, autoClose: false, start: 0 });
      return await work({ settings: () => settings, list });
    } finally {
      await file.close();
    }
  });
}

/**
 * Lines of the file are returned as item names, so only files that are meant as lists are read. The file's own name and
 * the link's name must both qualify.
 */
function requireListName(path: string, named: string): void {
  if (LIST_NAME.test(named) && !named.split('/').some((part) => part.startsWith('.') && part !== '.')) return;
  throw new QalignError(
    'PATH_FORBIDDEN',
    `The list ${JSON.stringify(path.slice(0, 200))} is not read. In manifest_path, name a .txt, .jsonl, .ndjson or .csv file without parts that begin with a dot.`,
  );
}

/** Reads a form with one file, the list. Its fields can come before or after the file. */
async function fromForm<T>(call: Caller, most: number, work: (request: JobRequest) => Promise<T>): Promise<T> {
  const fields: Record<string, string> = {};
  const body = unpackedBody(call.req, most);
  const parser = openFormParser(call.req, { files: 1, fields: FIELDS, fieldSize: FIELD_BYTES });
  return new Promise<T>((resolve, reject) => {
    let found: Promise<T> | undefined;
    let settle!: () => void;
    const parsed = new Promise<void>((done) => (settle = done));
    const fail = (error: Error): void => {
      body.unpipe(parser);
      if (body !== call.req) body.destroy();
      process.nextTick(() => parser.destroy()); // See readForm.
      settle();
      reject(toUploadError(error));
    };
    parser.on('field', (name, value, info) => {
      if (info.valueTruncated || info.nameTruncated) fail(fieldTooLong(name, FIELD_BYTES));
      else addField(fields, name, value);
    });
    parser.on('filesLimit', () =>
      fail(new QalignError('BODY_INVALID', 'The form has more than one file; a job has one list.')),
    );
    parser.on('fieldsLimit', () => fail(new QalignError('BODY_TOO_LARGE', `The form has more than ${FIELDS} fields.`)));
    parser.on('file', (_name, stream) => {
      // The settings are known when the whole form has arrived.
      async function* untilParsed(): AsyncGenerator<Uint8Array> {
        for await (const chunk of stream as AsyncIterable<Uint8Array>) yield chunk;
        await parsed;
      }
      found = work({ settings: () => fromWords(JobQuery, fields, 'form'), list: untilParsed() });
      found.then(resolve, fail);
    });
    parser.on('error', (error) => fail(error as Error));
    parser.on('close', () => {
      settle();
      if (found === undefined)
        reject(new QalignError('BODY_INVALID', 'The form has no file; add the list, e.g. curl -F file=@list.txt.'));
    });
    call.req.once('aborted', () => fail(new QalignError('CANCELLED', 'The client went away while it sent.')));
    if (body !== call.req) body.on('error', fail);
    body.pipe(parser);
  });
}

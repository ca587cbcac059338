import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Request } from 'express';
import type { TObject } from 'typebox';
import { FILE_TYPES, ScoreFields, type ItemSource } from '../../api/score.js';
import { QalignError } from '../../base/errors.js';
import type { ServeConfig } from '../../config/serve.js';
import type { Caller } from '../http/caller.js';
import { inTime, withJson } from '../http/json-body.js';
import type { SharedMemory } from '../http/memory-budget.js';
import { readFileBody, readForm, type Upload } from '../http/upload.js';
import { fromWords } from '../http/valid.js';

/** Contents of a scoring request in any of its forms. */
export interface ScoreRequest extends ScoreFields {
  readonly items: readonly (ItemSource | Upload)[];
}

/** Dependencies of reading a request. */
export interface RequestServices {
  readonly config: ServeConfig;
  readonly memory: SharedMemory;
  /** Directory for bodies that do not fit into memory. */
  readonly spool: string;
}

/**
 * Reads the body of a scoring request, passes it to `work`, and frees all stored bytes afterwards. Pictures arrive as
 * files of a form, or in JSON as base64, URL or server path. With `fileBody` the body can also be the file itself, with
 * the settings in the query.
 */
export async function withScoreRequest<T>(
  call: Caller,
  schema: TObject,
  { config, memory, spool }: RequestServices,
  work: (request: ScoreRequest) => Promise<T>,
  { fileBody = false }: { readonly fileBody?: boolean } = {},
): Promise<T> {
  const { req } = call;
  const raw = fileBody && isFile(req);
  if (!raw && Object.keys(req.query).length > 0)
    throw new QalignError('BODY_INVALID', 'Settings can be in the query only where the body is a file.');
  if (fileBody && !raw && !isForm(req) && !isJson(req))
    throw new QalignError(
      'BODY_UNSUPPORTED',
      `The route takes application/json, multipart/form-data, or one file as ${FILE_TYPES.join(', ')}, not "${(req.get('content-type') ?? 'nothing').slice(0, 100)}".`,
    );
  if (!raw && !isForm(req)) {
    return withJson(call, schema, { config, memory }, async (body) => {
      const request = body as unknown as ScoreRequest;
      requireCount(request, config.limits.items);
      return work(request);
    });
  }
  const limits = {
    files: config.limits.items,
    fileBytes: config.limits.upload_mb * 1024 ** 2,
    spool,
    memory: memory.of(call.client.id),
  };
  const settings = raw ? fromWords(ScoreFields, req.query as Record<string, unknown>, 'query') : undefined;
  const form = await inTime(call, config, (signal) =>
    raw ? readFileBody(req, limits, signal) : readForm(req, limits, signal),
  );
  try {
    if (form.files.length === 0)
      throw new QalignError('BODY_INVALID', 'The form has no file; add one, e.g. curl -F file=@photo.jpg.');
    return await work({ ...(settings ?? fromWords(ScoreFields, form.fields, 'form')), items: form.files });
  } finally {
    await form.discard();
  }
}

const isFile = (req: Request): boolean => Boolean(req.is([...FILE_TYPES]));
const isJson = (req: Request): boolean => Boolean(req.is('application/json'));
const isForm = (req: Request): boolean => req.is('multipart/form-data') !== false;

function requireCount({ items }: ScoreRequest, most: number): void {
  if (items.length > most)
    throw new QalignError(
      'BODY_TOO_LARGE',
      `The request has ${items.length} items; at most ${most} are taken at a time, more as a job (POST /v1/jobs).`,
    );
}

/** Hash of a request at a path, independent of the form boundary and of where its files are stored. */
export async function fingerprintOf(path: string, { items, ...settings }: ScoreRequest): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([path, settings]));
  for (const item of items) {
    if (!('media' in item)) hash.update(JSON.stringify(item));
    else if (typeof item.media === 'string')
      for await (const chunk of createReadStream(item.media)) hash.update(chunk as Buffer);
    else hash.update(item.media);
    hash.update(`\n${'media' in item ? item.name : ''}\n`);
  }
  return hash.digest('hex');
}

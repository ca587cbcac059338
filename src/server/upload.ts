import { randomUUID } from 'node:crypto';
import { createWriteStream, type WriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import busboy from 'busboy';
import type { Request } from 'express';
import type { Readable } from 'node:stream';
import { QalignError } from '../errors.js';
import type { MemoryBudget } from './memory-budget.js';

/** A file of a form: in memory while it is small and there is room, else on the disk. */
export interface Upload {
  readonly name: string;
  readonly media: string | Uint8Array;
}

export interface Form {
  readonly fields: Readonly<Record<string, string>>;
  readonly files: readonly Upload[];
  /** Lets go of the memory and removes the files. */
  discard(): Promise<void>;
}

export interface UploadLimits {
  readonly files: number;
  readonly fileBytes: number;
  readonly spool: string;
  readonly memory: MemoryBudget;
}

/** Up to here a file stays in memory. */
const SMALL = 1024 ** 2;
const FIELDS = { fieldSize: 64 * 1024, fields: 32, headerPairs: 64 };

/** Reads multipart/form-data as it arrives. @throws QalignError MALFORMED, BODY_TOO_LARGE, OUTPUT_UNWRITABLE, CANCELLED */
export async function readForm(req: Request, limits: UploadLimits): Promise<Form> {
  const fields: Record<string, string> = {};
  const files: Promise<Upload>[] = [];
  const tidy: (() => Promise<void> | void)[] = [];
  const discard = async (): Promise<void> => {
    await Promise.allSettled(files);
    await Promise.all(tidy.splice(0).map(async (one) => one()));
  };
  const parser = openParser(req, limits);
  let failure: QalignError | undefined;
  const fail = (error: QalignError): void => {
    failure ??= error;
    req.unpipe(parser);
    parser.destroy();
  };
  const tooMany = (what: string) => () => fail(new QalignError('BODY_TOO_LARGE', `The form has more ${what} than the service takes in one request (${what === 'files' ? limits.files : FIELDS.fields}).`));
  parser.on('field', (name, value, info) => {
    if (info.valueTruncated || info.nameTruncated) fail(new QalignError('BODY_TOO_LARGE', `The field "${name.slice(0, 50)}" is longer than ${FIELDS.fieldSize} bytes.`));
    else if (Object.hasOwn(fields, name)) fields[name] += `,${value}`; // a repeated field is a list
    else Object.defineProperty(fields, name, { value, enumerable: true, writable: true });
  });
  parser.on('file', (_field, stream, info) => {
    const file = store(stream, info.filename ?? '', limits, tidy);
    file.catch((error: NodeJS.ErrnoException) => fail(toUploadError(error)));
    files.push(file);
  });
  parser.on('filesLimit', tooMany('files')).on('fieldsLimit', tooMany('fields'));
  req.once('aborted', () => fail(new QalignError('CANCELLED', 'The client went away while it sent.')));
  try {
    req.pipe(parser);
    await finished(parser).catch((error: Error) => {
      throw failure ?? new QalignError('MALFORMED', `The form cannot be read: ${error.message}.`, { cause: error });
    });
    const stored = await Promise.all(files);
    if (failure !== undefined) throw failure;
    return { fields, files: stored, discard };
  } catch (error) {
    await discard();
    throw failure ?? toUploadError(error as NodeJS.ErrnoException);
  }
}

/** A full disk is ours, anything else is what the form was like. */
function toUploadError(error: NodeJS.ErrnoException): QalignError {
  if (error instanceof QalignError) return error;
  if (['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EMFILE'].includes(error.code ?? '')) return new QalignError('OUTPUT_UNWRITABLE', 'The service has no room on its disk for the upload; try again later.', { cause: error });
  return new QalignError('MALFORMED', `The form cannot be read: ${error.message}.`, { cause: error });
}

function openParser(req: Request, limits: UploadLimits): busboy.Busboy {
  try {
    return busboy({ headers: req.headers, defParamCharset: 'utf8', limits: { ...FIELDS, files: limits.files, fileSize: limits.fileBytes, parts: limits.files + FIELDS.fields } });
  } catch (cause) {
    throw new QalignError('MALFORMED', `The form cannot be read: ${(cause as Error).message}.`, { cause });
  }
}

async function store(stream: Readable & { truncated?: boolean }, filename: string, limits: UploadLimits, tidy: (() => Promise<void> | void)[]): Promise<Upload> {
  const name = filename.replaceAll(/[\p{Cc}]/gu, '').slice(-200) || 'upload';
  const held: Buffer[] = [];
  let bytes = 0;
  let disk: { stream: WriteStream; path: string } | undefined;
  tidy.push(() => limits.memory.give(bytes));
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (disk === undefined && bytes + chunk.length <= SMALL && limits.memory.take(chunk.length)) {
      held.push(chunk);
      bytes += chunk.length;
      continue;
    }
    disk ??= spill(limits.spool, held.splice(0), tidy);
    if (!disk.stream.write(chunk)) await Promise.race([once(disk.stream, 'drain'), finished(disk.stream)]);
  }
  if (disk !== undefined) {
    disk.stream.end();
    await finished(disk.stream);
  }
  if (stream.truncated === true) throw new QalignError('BODY_TOO_LARGE', `The file "${name}" is larger than ${limits.fileBytes} bytes.`);
  if (disk !== undefined) return { name, media: disk.path };
  return { name, media: Buffer.concat(held) };
}

function spill(spool: string, held: readonly Buffer[], tidy: (() => Promise<void> | void)[]): { stream: WriteStream; path: string } {
  const path = join(spool, randomUUID());
  const stream = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  stream.on('error', () => {}); // seen where it is awaited
  tidy.push(() => rm(path, { force: true }));
  for (const chunk of held) stream.write(chunk);
  return { stream, path };
}

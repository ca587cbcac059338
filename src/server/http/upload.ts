import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { finished, pipeline } from 'node:stream/promises';
import busboy from 'busboy';
import type { Request } from 'express';
import { QalignError } from '../../base/errors.js';
import { asUnwritable, isWriteError } from '../../base/files/unwritable.js';
import { chunksOf, unpackedBody } from './body-stream.js';
import { memoryIsFull, type MemoryBudget } from './memory-budget.js';

/** A file of a form, or a body that is a file. Small files stay in memory while there is room; others are on disk. */
export interface Upload {
  readonly name: string;
  readonly media: string | Uint8Array;
}

export interface Form {
  readonly fields: Readonly<Record<string, string>>;
  readonly files: readonly Upload[];
  /** Frees the memory and removes the files. */
  discard(): Promise<void>;
}

/** Storage for bytes while they are scored: memory, or files in the directory `spool`. */
export interface BodyStorage {
  readonly spool: string;
  readonly memory: MemoryBudget;
}

/** Frees the stored bytes. */
export type Cleanup = (() => Promise<void> | void)[];

export interface UploadLimits extends BodyStorage {
  readonly files: number;
  readonly fileBytes: number;
}

/** Largest file that stays in memory. */
const SMALL = 1024 ** 2;
const FIELDS = { fieldSize: 64 * 1024, fields: 32, headerPairs: 64 };

/**
 * Reads multipart/form-data as it arrives, until `signal` aborts. @throws QalignError MALFORMED, BODY_TOO_LARGE,
 * OUTPUT_UNWRITABLE, or the reason of the signal
 */
export async function readForm(req: Request, limits: UploadLimits, signal: AbortSignal): Promise<Form> {
  const fields: Record<string, string> = {};
  const files: Promise<Upload>[] = [];
  const cleanup: Cleanup = [];
  const discard = async (): Promise<void> => {
    await Promise.allSettled(files);
    await Promise.all(cleanup.splice(0).map(async (one) => one()));
  };
  const body = unpackedBody(req, limits.fileBytes);
  const parser = openFormParser(req, {
    ...FIELDS,
    files: limits.files,
    fileSize: limits.fileBytes,
    parts: limits.files + FIELDS.fields,
  });
  let failure: QalignError | undefined;
  const fail = (error: QalignError): void => {
    failure ??= error;
    body.unpipe(parser);
    if (body !== req) body.destroy();
    // busboy uses its parts after it has reported a limit, and throws if they are gone.
    process.nextTick(() => parser.destroy());
  };
  const tooMany = (what: string) => () =>
    fail(
      new QalignError(
        'BODY_TOO_LARGE',
        `The form has more ${what} than the service takes in one request (${what === 'files' ? limits.files : FIELDS.fields}).`,
      ),
    );
  parser.on('field', (name, value, info) => {
    if (info.valueTruncated || info.nameTruncated) return fail(fieldTooLong(name, FIELDS.fieldSize));
    const bytes = Buffer.byteLength(value);
    if (!limits.memory.take(bytes)) return fail(memoryIsFull(limits.memory));
    cleanup.push(() => limits.memory.give(bytes));
    addField(fields, name, value);
  });
  parser.on('file', (_field, stream, info) => {
    stream.on('limit', () =>
      fail(new QalignError('BODY_TOO_LARGE', `A file of the form is larger than ${limits.fileBytes} bytes.`)),
    );
    const file = store(stream as AsyncIterable<Buffer>, info.filename ?? '', limits, cleanup);
    file.catch((error: NodeJS.ErrnoException) => fail(toUploadError(error)));
    files.push(file);
  });
  if (body !== req) body.on('error', (error: NodeJS.ErrnoException) => fail(toUploadError(error)));
  parser.on('filesLimit', tooMany('files')).on('fieldsLimit', tooMany('fields'));
  const onAbort = (): void => fail(signal.reason as QalignError);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    else body.pipe(parser);
    await finished(parser).catch((error: Error) => {
      throw failure ?? new QalignError('MALFORMED', `The form cannot be read: ${error.message}.`, { cause: error });
    });
    const stored = await Promise.all(files);
    if (failure !== undefined) throw failure;
    return { fields, files: stored, discard };
  } catch (error) {
    await discard();
    throw failure ?? toUploadError(error as NodeJS.ErrnoException);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Reads a body that is one file of any type, like a form with this file. @throws QalignError BODY_TOO_LARGE,
 * BODY_INVALID (empty), BODY_UNSUPPORTED, MALFORMED, OUTPUT_UNWRITABLE, or the reason of the signal
 */
export async function readFileBody(req: Request, limits: UploadLimits, signal: AbortSignal): Promise<Form> {
  const cleanup: Cleanup = [];
  const discard = async (): Promise<void> => {
    await Promise.all(cleanup.splice(0).map(async (one) => one()));
  };
  const body = unpackedBody(req, limits.fileBytes);
  try {
    const name = cleanName(dispositionName(req.get('content-disposition') ?? '')) || 'item 1';
    const media = await retain(chunksOf(body, limits.fileBytes, signal), limits, cleanup);
    if (media.length === 0) throw new QalignError('BODY_INVALID', 'The body is empty; send the bytes of a file.');
    return { fields: {}, files: [{ name, media }], discard };
  } catch (error) {
    await discard();
    throw toUploadError(error as NodeJS.ErrnoException, 'body');
  } finally {
    if (body !== req) body.destroy();
  }
}

/** File name of a Content-Disposition (RFC 6266) without directories; empty where it is missing. */
export function dispositionName(header: string): string {
  const extended = /;\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)/i.exec(`;${header}`)?.[1];
  const plain = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]+))/i.exec(`;${header}`);
  const name = decoded(extended) ?? asUtf8((plain?.[1]?.replaceAll(/\\(.)/g, '$1') ?? plain?.[2]) || '');
  return name.split(/[\\/]/).at(-1) ?? '';
}

function decoded(name: string | undefined): string | undefined {
  try {
    return name === undefined ? undefined : decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

/** Node decodes headers as Latin-1; clients send names as UTF-8. */
function asUtf8(header: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(header, 'latin1'));
  } catch {
    return header;
  }
}

/** A repeated field is a list. */
export function addField(fields: Record<string, string>, name: string, value: string): void {
  if (Object.hasOwn(fields, name)) fields[name] += `,${value}`;
  else Object.defineProperty(fields, name, { value, enumerable: true, writable: true });
}

export const fieldTooLong = (name: string, most: number): QalignError =>
  new QalignError('BODY_TOO_LARGE', `The field "${name.slice(0, 50)}" is longer than ${most} bytes.`);

/** A write error is a fault of the service; all other errors are faults of the request. */
export function toUploadError(error: NodeJS.ErrnoException, what = 'form'): QalignError {
  if (error instanceof QalignError) return error;
  if (isWriteError(error))
    return asUnwritable(error, () => 'The service has no room on its disk for the upload; try again later.');
  return new QalignError('MALFORMED', `The ${what} cannot be read: ${error.message}.`, { cause: error });
}

/** A parser of multipart/form-data that the request is piped into. @throws QalignError MALFORMED (no boundary) */
export function openFormParser({ headers }: Request, limits: busboy.Limits): busboy.Busboy {
  try {
    return busboy({ headers, defParamCharset: 'utf8', limits });
  } catch (cause) {
    throw new QalignError('MALFORMED', `The form cannot be read: ${(cause as Error).message}.`, { cause });
  }
}

async function store(
  stream: AsyncIterable<Buffer>,
  filename: string,
  limits: UploadLimits,
  cleanup: Cleanup,
): Promise<Upload> {
  return { name: cleanName(filename) || 'upload', media: await retain(stream, limits, cleanup) };
}

const cleanName = (name: string): string => name.replaceAll(/[\p{Cc}]/gu, '').slice(-200);

/**
 * Stores bytes as they arrive: in memory while they are few and there is room, else in a file of the spool. `cleanup`
 * gets a function that frees them.
 */
export async function retain(
  stream: AsyncIterable<Buffer>,
  { spool, memory }: BodyStorage,
  cleanup: Cleanup,
): Promise<Upload['media']> {
  const chunks = stream[Symbol.asyncIterator]();
  const held: Buffer[] = [];
  let bytes = 0;
  const release = (): void => {
    memory.give(bytes);
    bytes = 0;
  };
  cleanup.push(release);
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
    const chunk = next.value;
    if (bytes + chunk.length <= SMALL && memory.take(chunk.length)) {
      held.push(chunk);
      bytes += chunk.length;
      continue;
    }
    const path = join(spool, randomUUID());
    cleanup.push(() => rm(path, { force: true }));
    await pipeline(all([...held.splice(0), chunk], chunks), createWriteStream(path, { flags: 'wx', mode: 0o600 }));
    release();
    return path;
  }
  return Buffer.concat(held);
}

async function* all(first: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  yield* first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

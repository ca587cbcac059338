import { closeSync, constants, fstat, open, read, type BigIntStats } from 'node:fs';
import { QalignError, type ErrorCode } from '../base/errors.js';
import { requireInReach, type Reach } from '../base/files/reach.js';
import type { Afford } from './budget/needs-memory.js';
import { existingName } from './find/same-name.js';
import type { MediaLimits } from './limits.js';
import { pathText, type MediaInput } from './media-input.js';

/** What opening a file may say, and what it means for the caller. */
const OPEN_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ['MEDIA_NOT_FOUND', 'does not exist; check the path'],
  ENOTDIR: ['MEDIA_NOT_FOUND', 'does not exist: a part of its path is not a directory'],
  ENAMETOOLONG: ['MEDIA_NOT_FOUND', 'does not exist: its name is too long'],
  EACCES: ['MEDIA_UNREADABLE', 'may not be read by this user; change its permissions'],
  EPERM: ['MEDIA_UNREADABLE', 'may not be read by this user; change its permissions'],
  ELOOP: ['MEDIA_UNREADABLE', 'is a symbolic link that leads back to itself'],
  EISDIR: ['MEDIA_UNREADABLE', 'is a directory; name a file'],
  ENXIO: ['MEDIA_UNREADABLE', 'is not a regular file'],
  EMFILE: ['MEDIA_UNREADABLE', 'cannot be opened: too many files are open'],
  ERR_INVALID_ARG_VALUE: ['MEDIA_NOT_FOUND', 'is not a path: it holds a zero byte'],
};

export const quoted = (path: string | Buffer): string => JSON.stringify(pathText(path));

/** An error of `node:fs` in the words of media errors. */
export function openError(path: string | Buffer, cause: unknown): QalignError {
  if (cause instanceof QalignError) return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const [kind, text] = OPEN_ERRORS[code] ?? ['MEDIA_UNREADABLE', `cannot be read (${code || String(cause)})`];
  return new QalignError(kind, `${quoted(path)} ${text}.`, { cause });
}

export const tooLarge = (name: string, bytes: number, maxBytes: number): QalignError =>
  new QalignError(
    'MEDIA_TOO_LARGE',
    `${name} has ${bytes} bytes, over the limit of ${maxBytes}; raise maxBytes to read it.`,
  );

type FileType = Pick<BigIntStats, 'isFile' | 'isDirectory' | 'isFIFO' | 'isSocket'>;

/** What is no regular file, and what to do about it. */
export function notRegular(path: string | Buffer, found: FileType): QalignError {
  const what = found.isDirectory()
    ? 'is a directory; name a file'
    : found.isFIFO()
      ? 'is a pipe, not a regular file'
      : found.isSocket()
        ? 'is a socket, not a regular file; name a file'
        : 'is a device, not a regular file; name a file, or pipe its bytes to "-"';
  return new QalignError('MEDIA_UNREADABLE', `${quoted(path)} ${what}.`);
}

/**
 * Opens a regular file and closes it afterwards. What was opened is what is checked and read, so nothing can be swapped
 * in between; opening never waits, as a FIFO without a writer would.
 *
 * @param within where the opened file must lie; anywhere by default
 * @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE, PATH_FORBIDDEN; what `use` throws, errors of `node:fs` in
 * words
 */
export async function withRegularFile<T>(
  path: string | Buffer,
  use: (file: OpenFile) => Promise<T>,
  signal?: AbortSignal,
  within?: Reach,
): Promise<T> {
  let descriptor: number | undefined;
  try {
    descriptor = await opened(path);
    const found = await statOf(descriptor);
    if (!found.isFile()) throw notRegular(path, found);
    await requireInReach(descriptor, path, within);
    return await use({ descriptor, found });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw openError(path, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor); // nothing was written: it does not wait
  }
}

export interface OpenFile {
  readonly descriptor: number;
  readonly found: BigIntStats;
}

// a FileHandle takes twice the time, which counts for folders of a million files
const opened = (path: string | Buffer): Promise<number> =>
  new Promise((resolve, reject) => {
    open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY, (error, descriptor) =>
      error === null ? resolve(descriptor) : reject(error),
    );
  });

const statOf = (descriptor: number): Promise<BigIntStats> =>
  new Promise((resolve, reject) => {
    fstat(descriptor, { bigint: true }, (error, found) => (error === null ? resolve(found) : reject(error)));
  });

/** Reads into `buffer` from its place `into` on; gives the number of bytes, 0 at the end of the file. */
export function readAt(
  { descriptor }: OpenFile,
  buffer: Uint8Array,
  { into = 0, from }: { readonly into?: number; readonly from: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, buffer, into, buffer.length - into, from, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    );
  });
}

/** What reading one file may cost, and where it must lie. */
export type ReadLimits = Pick<MediaLimits, 'maxBytes' | 'within'>;

/** Reads a regular file whole, at most `maxBytes` of it: one that grows while it is read is cut off at the limit. */
export async function readFileLimited(
  path: string | Buffer,
  { maxBytes, within }: ReadLimits,
  signal?: AbortSignal,
  afford?: Afford,
): Promise<Uint8Array> {
  return withRegularFile(
    path,
    async (file) => {
      if (file.found.size > maxBytes) throw tooLarge(quoted(path), Number(file.found.size), maxBytes);
      afford?.(Number(file.found.size));
      return readWhole(file, path, maxBytes, signal);
    },
    signal,
    within,
  );
}

async function readWhole(
  file: OpenFile,
  path: string | Buffer,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  // one byte more than expected: a full buffer then says that the file grew
  let buffer = new Uint8Array(Number(file.found.size) + 1);
  let length = 0;
  for (;;) {
    signal?.throwIfAborted();
    const bytes = await readAt(file, buffer, { into: length, from: length });
    if (bytes === 0) return buffer.subarray(0, length);
    length += bytes;
    if (length > maxBytes) throw tooLarge(quoted(path), length, maxBytes);
    if (length === buffer.length) {
      const larger = new Uint8Array(Math.min(buffer.length * 2, maxBytes + 1));
      larger.set(buffer);
      buffer = larger;
    }
  }
}

/** The bytes of `input`: a local path is read, bytes are taken as they are; both within the limits. */
export async function readInput(
  input: MediaInput,
  limits: ReadLimits,
  signal?: AbortSignal,
  afford?: Afford,
): Promise<Uint8Array> {
  if (typeof input === 'string') return readFileLimited(await existingName(input), limits, signal, afford);
  if (!(input instanceof Uint8Array)) return readFileLimited(Buffer.from(input.path), limits, signal, afford);
  if (input.length > limits.maxBytes) throw tooLarge('The picture', input.length, limits.maxBytes);
  return input;
}

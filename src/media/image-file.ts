import { closeSync, open, read, type BigIntStats } from 'node:fs';
import { QalignError, type ErrorCode } from '../base/errors.js';
import { READ, requireInReach, statOf, type Reach } from '../base/files/reach.js';
import type { Afford } from './budget/needs-memory.js';
import { existingName } from './find/same-name.js';
import type { MediaLimits } from './limits.js';
import { pathText, type MediaInput } from './media-input.js';

/** Error codes of opening a file, with the error code and message of qalign. */
const OPEN_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ['MEDIA_NOT_FOUND', 'does not exist; check the path'],
  ENOTDIR: ['MEDIA_NOT_FOUND', 'does not exist because a part of its path is not a directory; check the path'],
  ENAMETOOLONG: ['MEDIA_NOT_FOUND', 'does not exist because its name is too long; check the path'],
  EACCES: ['MEDIA_UNREADABLE', 'cannot be read by this user; change its permissions'],
  EPERM: ['MEDIA_UNREADABLE', 'cannot be read by this user; change its permissions'],
  ELOOP: ['MEDIA_UNREADABLE', 'is a symbolic link that points to itself; check the link'],
  EISDIR: ['MEDIA_UNREADABLE', 'is a directory; name a file'],
  ENXIO: ['MEDIA_UNREADABLE', 'is not a regular file; name a file'],
  EMFILE: ['MEDIA_UNREADABLE', 'cannot be opened because too many files are open; raise the limit of open files'],
  ERR_INVALID_ARG_VALUE: ['MEDIA_NOT_FOUND', 'is not a valid path because it contains a zero byte; check the path'],
};

export const quoted = (path: string | Buffer): string => JSON.stringify(pathText(path));

/** Converts an error of `node:fs` to a media error. */
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

/** Creates the error for a path that is not a regular file. */
export function notRegular(path: string | Buffer, found: FileType): QalignError {
  const what = found.isDirectory()
    ? 'is a directory; name a file'
    : found.isFIFO()
      ? 'is a pipe, not a regular file; name a file'
      : found.isSocket()
        ? 'is a socket, not a regular file; name a file'
        : 'is a device, not a regular file; name a file, or pipe its bytes to "-"';
  return new QalignError('MEDIA_UNREADABLE', `${quoted(path)} ${what}.`);
}

/**
 * Opens a regular file, passes it to `use` and closes it afterwards. The checks and the reads use one descriptor, so
 * the file cannot be swapped in between. Opening never blocks, even for a FIFO without a writer.
 *
 * @param within where the opened file must be; anywhere by default
 * @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE, PATH_FORBIDDEN; errors of `use`, with those of `node:fs`
 * converted
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
    if (descriptor !== undefined) closeSync(descriptor); // nothing was written, so closing does not block
  }
}

export interface OpenFile {
  readonly descriptor: number;
  readonly found: BigIntStats;
}

// a FileHandle takes twice as long, which matters for folders of a million files
const opened = (path: string | Buffer): Promise<number> =>
  new Promise((resolve, reject) => {
    open(path, READ, (error, descriptor) => (error === null ? resolve(descriptor) : reject(error)));
  });

/**
 * Reads from file offset `from` into `buffer` at offset `into`. Returns the number of bytes read, 0 at the end of the
 * file.
 */
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

/** Limits of reading one file, and where it must be. */
export type ReadLimits = Pick<MediaLimits, 'maxBytes' | 'within'>;

/** Reads a whole regular file of at most `maxBytes`. A file that grows beyond the limit during the read is refused. */
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
  // one byte more than expected: a full buffer shows that the file grew
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

/** Returns the bytes of `input`: reads a local path, or returns given bytes. Both must be within the limits. */
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

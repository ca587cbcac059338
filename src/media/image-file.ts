import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { QalignError, type ErrorCode } from '../base/errors.js';
import { pathOf, pathText, type MediaInput } from './media-input.js';

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

const quoted = (path: string | Buffer): string => JSON.stringify(pathText(path));

function openError(path: string | Buffer, cause: unknown): QalignError {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const [kind, text] = OPEN_ERRORS[code] ?? ['MEDIA_UNREADABLE', `cannot be read (${code || String(cause)})`];
  return new QalignError(kind, `${quoted(path)} ${text}.`, { cause });
}

const tooLarge = (name: string, bytes: number, maxBytes: number): QalignError =>
  new QalignError(
    'MEDIA_TOO_LARGE',
    `${name} has ${bytes} bytes, over the limit of ${maxBytes}; raise maxBytes to read it.`,
  );

/**
 * Reads a regular file whole, at most `maxBytes` of it.
 *
 * What was opened is what is checked and read, so nothing can be swapped in between; opening never waits (a FIFO or a
 * device is refused), and a file that grows while it is read is cut off at the limit.
 */
export async function readFileLimited(
  path: string | Buffer,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { handle, size } = await openRegularFile(path, maxBytes);
  try {
    return await readHandle(handle, path, size, maxBytes, signal);
  } catch (error) {
    if (error instanceof QalignError || signal?.aborted === true) throw error;
    throw openError(path, error);
  } finally {
    await handle.close();
  }
}

/**
 * Opens a regular file of at most `maxBytes` for reading, without ever waiting. The caller closes it.
 *
 * @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE (also for FIFOs, devices and directories), MEDIA_TOO_LARGE
 */
export async function openRegularFile(
  path: string | Buffer,
  maxBytes: number,
): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = await handle.stat();
    if (stat.isDirectory()) throw new QalignError('MEDIA_UNREADABLE', `${quoted(path)} is a directory; name a file.`);
    if (!stat.isFile()) throw new QalignError('MEDIA_UNREADABLE', `${quoted(path)} is not a regular file.`);
    if (stat.size > maxBytes) throw tooLarge(quoted(path), stat.size, maxBytes);
    return { handle, size: stat.size };
  } catch (error) {
    await handle?.close();
    throw error instanceof QalignError ? error : openError(path, error);
  }
}

async function readHandle(
  handle: FileHandle,
  path: string | Buffer,
  expected: number,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  // one byte more than expected: a full buffer then says that the file grew
  let buffer = new Uint8Array(expected + 1);
  let length = 0;
  for (;;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
    if (length > maxBytes) throw tooLarge(quoted(path), length, maxBytes);
    if (length === buffer.length) {
      const larger = new Uint8Array(Math.min(buffer.length * 2, maxBytes + 1));
      larger.set(buffer);
      buffer = larger;
    }
  }
}

/** The bytes of `input`: a local path is read, bytes are taken as they are; both within `maxBytes`. */
export async function readInput(input: MediaInput, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
  if (!(input instanceof Uint8Array)) return readFileLimited(pathOf(input) as string | Buffer, maxBytes, signal);
  if (input.length > maxBytes) throw tooLarge('The picture', input.length, maxBytes);
  return input;
}

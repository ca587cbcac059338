import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { QalignError } from '../../base/errors.js';
import { deadline } from '../../base/first-signal.js';
import { notRegular, openError, tooLarge } from '../image-file.js';

export interface PipeLimits {
  readonly maxBytes: number;
  /** Longest time without data, in milliseconds. */
  readonly timeoutMs: number;
}

/** Matches names of open descriptors. In a child process these names refer to other files, often to a pipe. */
export function isDescriptorName(path: string): boolean {
  return /^\/dev\/(stdin|fd\/\d+)$|^\/proc\/(self|thread-self|\d+)\/fd\/\d+$/.test(path);
}

/**
 * Reads a named pipe, or the target of a descriptor name such as `/dev/fd/63`, to its end.
 *
 * @throws QalignError MEDIA_TOO_LARGE; MEDIA_TIMEOUT if no data arrive in time; MEDIA_UNREADABLE for sockets and
 * devices
 */
export async function readPipe(path: string | Buffer, limits: PipeLimits, signal?: AbortSignal): Promise<Uint8Array> {
  const name = typeof path === 'string' ? path : path.toString('utf8');
  let handle: FileHandle | undefined;
  try {
    // a blocking open holds one of Node's four threads until another process writes, and keeps Node from ending
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const found = await handle.stat();
    if (!found.isFIFO() && !found.isFile()) throw notRegular(path, found);
    const hasWriter = found.isFile() || (typeof path === 'string' && isDescriptorName(path));
    return await gather((stop) => chunksOf(handle!, hasWriter, stop), name, limits, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw openError(path, error);
  } finally {
    await handle?.close();
  }
}

/** A read of zero bytes is the end of a pipe, but only after a writer has opened it. */
async function* chunksOf(
  handle: FileHandle,
  hasWriter: boolean,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let pause = 1;
  for (let open = hasWriter; ;) {
    signal.throwIfAborted();
    const chunk = await readSome(handle);
    if (chunk?.length === 0 && open) return;
    open ||= chunk?.length !== 0;
    if (chunk !== undefined && chunk.length > 0) {
      pause = 1;
      yield chunk;
    } else {
      await sleep(pause, undefined, { signal });
      pause = Math.min(2 * pause, 20);
    }
  }
}

/** Returns undefined while a writer has no data. */
async function readSome(handle: FileHandle): Promise<Uint8Array | undefined> {
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(1 << 16), 0, 1 << 16, null);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}

/**
 * Reads all bytes of a stream within the limits.
 *
 * @param open returns the stream; its signal is aborted when the reader stops
 */
export async function gather(
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  name: string,
  { maxBytes, timeoutMs }: PipeLimits,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const stop = new AbortController();
  const silent = (): QalignError =>
    new QalignError(
      'MEDIA_TIMEOUT',
      `${name} returned no data for ${timeoutMs / 1000} s; check the program that writes to it.`,
    );
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const iterator = open(stop.signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await within(iterator.next(), timeoutMs, silent, signal);
      if (next.done === true) return Buffer.concat(parts, bytes);
      bytes += next.value.length;
      if (bytes > maxBytes) throw tooLarge(`The content of ${name}`, bytes, maxBytes);
      parts.push(next.value);
    }
  } finally {
    stop.abort();
    // not awaited: a stream without data resolves only when its read ends
    void iterator.return?.().catch(() => {});
  }
}

async function within<T>(work: Promise<T>, ms: number, late: () => QalignError, signal?: AbortSignal): Promise<T> {
  const limit = deadline(ms, late, signal);
  try {
    return await new Promise<T>((resolve, reject) => {
      const onAbort = (): void => reject(limit.signal.reason as Error);
      limit.signal.addEventListener('abort', onAbort, { once: true });
      if (limit.signal.aborted) onAbort();
      work.then(resolve, reject);
    });
  } finally {
    limit.release();
  }
}

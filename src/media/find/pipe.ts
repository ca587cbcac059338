import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { QalignError } from '../../base/errors.js';
import { deadline } from '../../base/first-signal.js';
import { notRegular, openError, tooLarge } from '../image-file.js';

export interface PipeLimits {
  readonly maxBytes: number;
  /** Longest silence, in milliseconds. */
  readonly timeoutMs: number;
}

/** Names of open descriptors, which mean another file in a child process, and mostly a pipe. */
export function isDescriptorName(path: string): boolean {
  return /^\/dev\/(stdin|fd\/\d+)$|^\/proc\/(self|thread-self|\d+)\/fd\/\d+$/.test(path);
}

/**
 * Reads a named pipe, or what a descriptor name such as `/dev/fd/63` leads to, to its end.
 *
 * @throws QalignError MEDIA_TOO_LARGE; MEDIA_TIMEOUT after a silence; MEDIA_UNREADABLE for sockets and devices
 */
export async function readPipe(path: string | Buffer, limits: PipeLimits, signal?: AbortSignal): Promise<Uint8Array> {
  const name = typeof path === 'string' ? path : path.toString('utf8');
  let handle: FileHandle | undefined;
  try {
    // a blocking open would hold one of Node's four threads until somebody writes, and even keep Node from ending
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

/** The end of a pipe is a read of no bytes; without a writer so far, that says nothing yet. */
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

/** Undefined while a writer has nothing to say. */
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
 * All bytes of a stream, within the limits.
 *
 * @param open gives the stream; its signal says that nobody waits for it any more
 */
export async function gather(
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  name: string,
  { maxBytes, timeoutMs }: PipeLimits,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const stop = new AbortController();
  const silent = (): QalignError =>
    new QalignError('MEDIA_TIMEOUT', `${name} gave nothing for ${timeoutMs / 1000} s; check what writes to it.`);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const iterator = open(stop.signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await within(iterator.next(), timeoutMs, silent, signal);
      if (next.done === true) return Buffer.concat(parts, bytes);
      bytes += next.value.length;
      if (bytes > maxBytes) throw tooLarge(`What ${name} gives`, bytes, maxBytes);
      parts.push(next.value);
    }
  } finally {
    stop.abort();
    // not awaited: a stream that is silent answers only after its silence
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

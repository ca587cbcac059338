import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QalignError } from '../../../base/errors.js';
import { reasonOf } from '../../../base/files/reason.js';
import { guardWrite } from '../../../base/files/unwritable.js';
import { globMatcher, isGlob } from '../../../media/find/glob-pattern.js';
import { parseS3 } from '../names.js';
import { withRetries } from './retry.js';
import { asStorageError, canPass, cutAnswer, isAbsent, isTaken, openS3, type S3Requests } from './s3-client.js';
import type { Store, StoreDraft, StoreOptions } from './store.js';

/** Object storage. Drafts are files of the temporary folder, because a put needs to know its length. */
export async function openObjects(
  options: StoreOptions,
  openRequests: (signal?: AbortSignal) => Promise<S3Requests> = openS3,
): Promise<{ readonly store: Store; close(): void }> {
  const requests = await openRequests(options.signal);
  const ask = <T>(uri: string, work: (bucket: string, key: string) => Promise<T>): Promise<T> => {
    const { bucket, key } = parseS3(uri);
    return withRetries(() => work(bucket, key), canPass, options).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      throw asStorageError(error, uri);
    });
  };
  const store: Store = {
    stat: (uri) =>
      ask(uri, (bucket, key) =>
        requests.head(bucket, key).catch((error: unknown) => {
          if (isAbsent(error)) return undefined;
          throw error;
        }),
      ),
    read: (uri, from, to) =>
      from >= to
        ? Promise.resolve(Buffer.alloc(0))
        : ask(uri, async (bucket, key) => {
            const { bytes } = await requests.get(bucket, key, { from, to });
            const parts: Uint8Array[] = [];
            for await (const part of bytes) parts.push(part);
            const whole = Buffer.concat(parts);
            if (whole.length !== to - from) throw cutAnswer();
            return whole;
          }),
    stream: (uri) => streamOf(uri, requests, options),
    list: (pattern) => listOf(pattern, requests, options),
    draft: (uri) =>
      openObjectDraft(uri, (file, length) =>
        ask(uri, async (bucket, key) => {
          try {
            await requests.putNew(bucket, key, file, length);
            return 'written';
          } catch (error) {
            if (isTaken(error)) return 'exists';
            throw error;
          }
        }),
      ),
    replace: (uri, text) => ask(uri, (bucket, key) => requests.put(bucket, key, text)),
  };
  return { store, close: () => requests.close() };
}

/** Continues after an interruption with the next byte, if the object is still the same. */
async function* streamOf(
  uri: string,
  requests: S3Requests,
  options: StoreOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { bucket, key } = parseS3(uri);
  let [at, size, etag]: [number, number | undefined, string | undefined] = [0, undefined, undefined];
  const next = async (chunks: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> => {
    const found = await chunks.next();
    if (found.done === true && at < (size ?? 0)) throw cutAnswer();
    return found;
  };
  let chunks: AsyncIterator<Uint8Array> | undefined;
  try {
    for (;;) {
      const found = await withRetries(
        async () => {
          if (chunks === undefined) {
            const answer = await requests.get(bucket, key, { from: at, etag });
            size ??= at + answer.length;
            etag ??= answer.etag;
            chunks = answer.bytes[Symbol.asyncIterator]();
          }
          const current = chunks;
          chunks = undefined; // asked again after an error
          const result = await next(current);
          chunks = current;
          return result;
        },
        canPass,
        options,
      );
      if (found.done === true) return;
      at += found.value.length;
      yield found.value;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (isTaken(error))
      throw new QalignError('SHARD_DAMAGED', `${uri} was replaced while it was read.`, { cause: error });
    throw asStorageError(error, uri);
  } finally {
    await chunks?.return?.();
  }
}

async function* listOf(
  pattern: string,
  requests: S3Requests,
  options: StoreOptions,
): AsyncGenerator<string, void, undefined> {
  const { bucket, key } = parseS3(pattern);
  const parts = key.split('/');
  const fixed = parts.slice(
    0,
    parts.findIndex((part) => isGlob(part)),
  );
  const prefix = fixed.map((part) => `${part}/`).join('');
  const matches = globMatcher(key, { dot: false });
  const keys = await withRetries(
    async () => {
      const found: string[] = [];
      for await (const one of requests.list(bucket, prefix)) if (matches(one)) found.push(one);
      return found;
    },
    canPass,
    options,
  ).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    throw asStorageError(error, pattern);
  });
  for (const one of keys) yield `s3://${bucket}/${one}`;
}

/** The draft has no name while it is written, so that nothing of it remains after kill -9. */
async function openObjectDraft(
  uri: string,
  send: (file: FileHandle, length: number) => Promise<'written' | 'exists'>,
): Promise<StoreDraft> {
  const sentence = (error: Error): string =>
    `The draft of ${uri} cannot be written to ${tmpdir()} (${reasonOf(error)}); free some space there, or set TMPDIR.`;
  const file = await guardWrite(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'qalign-shard-'));
    return open(join(folder, 'draft'), 'wx+', 0o600).finally(() => rm(folder, { recursive: true, force: true }));
  }, sentence);
  const discard = (): Promise<void> => file.close().catch(() => undefined);
  return {
    file,
    async commit() {
      try {
        return await send(file, (await file.stat()).size);
      } finally {
        await discard();
      }
    },
    discard,
  };
}

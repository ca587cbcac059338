// the only file that imports the SDK of object storage; the package is optional
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type * as SdkModule from '@aws-sdk/client-s3';
import { QalignError } from '../../../base/errors.js';
import { silentLogger } from '../../../base/logger.js';
import type { Stored } from './store.js';

const PACKAGE = '@aws-sdk/client-s3';
/** The version of the tests. */
const VERSION = '3.1175.0';
const CONNECT_MS = 10_000;
/** Longest time without a byte. */
const SILENT_MS = 60_000;

/** The requests that qalign sends to object storage. Errors are those of the SDK; see `asStorageError`. */
export interface S3Requests {
  head(bucket: string, key: string): Promise<Stored>;
  /** Reads from byte `from`, to the end or up to byte `to`. `etag`: fails if the object has changed. */
  get(
    bucket: string,
    key: string,
    range: { readonly from: number; readonly to?: number; readonly etag?: string | undefined },
  ): Promise<{ readonly bytes: AsyncIterable<Uint8Array>; readonly etag: string | undefined; readonly length: number }>;
  /** Yields keys in order of their names. */
  list(bucket: string, prefix: string): AsyncIterable<string>;
  /** Sends a file of `length` bytes, if nothing has this name. */
  putNew(bucket: string, key: string, file: FileHandle, length: number): Promise<void>;
  put(bucket: string, key: string, text: string): Promise<void>;
  close(): void;
}

type Sdk = typeof SdkModule;

async function load(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-s3');
  } catch (cause) {
    throw new QalignError(
      'PACKAGE_MISSING',
      `s3:// needs the package ${PACKAGE}; install it beside qalign: npm install ${PACKAGE}@${VERSION} (with -g if qalign was installed with -g).`,
      { cause },
    );
  }
}

/**
 * Opens a client. Credentials, region and endpoint come from the environment and the files of the SDK. With
 * AWS_ENDPOINT_URL, buckets are parts of the path, as other servers expect.
 *
 * @throws QalignError PACKAGE_MISSING
 */
export async function openS3(signal?: AbortSignal): Promise<S3Requests> {
  const sdk = await load();
  const hasEndpoint = (process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'] ?? '') !== '';
  const hasRegion = (process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? '') !== '';
  const client = new sdk.S3Client({
    logger: silentLogger, // a name that is taken is no problem
    maxAttempts: 1, // `withRetries` repeats
    requestChecksumCalculation: 'WHEN_REQUIRED', // not all servers know trailers
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENT_MS, throwOnRequestTimeout: true },
    ...(hasEndpoint ? { forcePathStyle: true } : {}),
    ...(hasEndpoint && !hasRegion ? { region: 'us-east-1' } : {}),
  });
  const options = signal === undefined ? {} : { abortSignal: signal };
  return {
    async head(Bucket, Key) {
      const found = await client.send(new sdk.HeadObjectCommand({ Bucket, Key }), options);
      return { bytes: found.ContentLength ?? 0, etag: found.ETag };
    },
    async get(Bucket, Key, { from, to, etag }) {
      const isWhole = from === 0 && to === undefined;
      const found = await client.send(
        new sdk.GetObjectCommand({
          ...{ Bucket, Key },
          ...(isWhole ? {} : { Range: `bytes=${from}-${to === undefined ? '' : to - 1}` }),
          ...(etag === undefined ? {} : { IfMatch: etag }),
        }),
        options,
      );
      return {
        bytes: found.Body as AsyncIterable<Uint8Array>,
        etag: found.ETag,
        length: found.ContentLength ?? 0,
      };
    },
    async *list(Bucket, Prefix) {
      for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket, Prefix }, options))
        for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key;
    },
    async putNew(Bucket, Key, file, ContentLength) {
      // not createReadStream, whose `destroy` closes the file, which the next attempt reads again
      const Body = Readable.from(partsOf(file), { objectMode: false });
      try {
        await client.send(new sdk.PutObjectCommand({ Bucket, Key, Body, ContentLength, IfNoneMatch: '*' }), options);
      } finally {
        Body.destroy();
      }
    },
    async put(Bucket, Key, text) {
      await client.send(new sdk.PutObjectCommand({ Bucket, Key, Body: Buffer.from(text) }), options);
    },
    close: () => client.destroy(),
  };
}

const PART = 1 << 18;

async function* partsOf(file: FileHandle): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(PART), 0, PART, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

interface SdkError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly code?: string;
}

const statusOf = (error: unknown): number | undefined => (error as SdkError).$metadata?.httpStatusCode;

/** Whether nothing has the name. */
export const isAbsent = (error: unknown): boolean =>
  statusOf(error) === 404 && (error as Error).name !== 'NoSuchBucket';

/** Whether something has the name that `putNew` gives. */
export const isTaken = (error: unknown): boolean => statusOf(error) === 412;

/** Errors of a connection. */
const NETWORK = new Set([
  ...['ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH'],
  ...['ENETUNREACH', 'ERR_STREAM_PREMATURE_CLOSE'],
]);

/** The connection ended before the last byte of an answer. */
export const cutAnswer = (): Error => Object.assign(new Error('the answer was cut'), { code: 'ECONNRESET' });

/** Whether the same request can succeed later: no answer, too many requests, a conflict, or an error of the server. */
export function canPass(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status === 409 || status === 429 || status >= 500;
  const { code = '', name } = error as SdkError;
  return NETWORK.has(code) || name === 'TimeoutError';
}

/** The error for the user. @param uri what was asked for */
export function asStorageError(error: unknown, uri: string): QalignError {
  if (error instanceof QalignError) return error;
  const { name, message, code } = error as SdkError;
  const status = statusOf(error);
  const said = [status, name, message === name ? undefined : message || code].filter((part) => part !== undefined);
  const what = said.join(' ');
  const cause = { cause: error };
  if (isAbsent(error)) return new QalignError('SHARD_NOT_FOUND', `${uri} does not exist.`, cause);
  if (canPass(error))
    return new QalignError(
      'STORAGE_FAILED',
      `The storage of ${uri} failed again and again (${what}); repeat the command later.`,
      cause,
    );
  return new QalignError(
    'STORAGE_REFUSED',
    `The storage refused ${uri} (${what}); check the bucket, the credentials and their rights.`,
    cause,
  );
}

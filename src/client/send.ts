import type { Body } from './body.js';
import type { ClientOptions, UploadOptions } from './interface.js';
import { pause, waitBefore } from './retry.js';
import { toServiceError } from './service-error.js';
import { transmit } from './transmit.js';

/** Sends a request, with retries, and returns the answer if it is 2xx. @throws ServiceError */
export type Sender = (
  method: string,
  path: string,
  body: Body | undefined,
  extra: UploadOptions | undefined,
  headers?: Readonly<Record<string, string>>,
) => Promise<Response>;

const RETRIES = 3;

/**
 * 429 and 503 mean that the service did nothing, so that every request except a stream can be sent again. The wait is
 * Retry-After, or doubles each time.
 */
export function createSender({ url, key, fetch: fetcher, retries: usual = RETRIES }: ClientOptions): Sender {
  const base = url.replace(/\/+$/, '');
  return async (method, path, body, extra = {}, more = {}) => {
    const { signal, idempotencyKey, traceparent, retries = usual, onUploadProgress } = extra;
    const headers = {
      ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
      ...(idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(body === undefined ? {} : { 'Content-Type': body.type }),
      ...more,
    };
    const tries = body?.content instanceof ReadableStream ? 1 : 1 + retries;
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      const outgoing = { method, headers, body: body?.content, signal };
      const response = await transmit(base + path, outgoing, fetcher, onUploadProgress);
      if (response.ok) return response;
      const error = await toServiceError(response, attempt);
      const wait = attempt < tries ? waitBefore(error) : undefined;
      if (wait === undefined) throw error;
      await pause(wait, signal);
    }
  };
}

export function toQuery(
  values: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>,
): string {
  const words = new URLSearchParams();
  // a list is joined by commas
  for (const [key, value] of Object.entries(values)) if (value !== undefined) words.append(key, String(value));
  const text = words.toString();
  return text === '' ? '' : `?${text}`;
}

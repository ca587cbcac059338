import type { UploadProgress } from './interface.js';
import { xhrHere, transmitByXhr } from './xhr.js';

export interface Outgoing {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Blob | ReadableStream<Uint8Array> | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Sends one request. Without a progress listener, `fetch` gets the body unchanged. With a listener, browsers need
 * XMLHttpRequest, because their `fetch` sends no streams over HTTP/1.1. Elsewhere, the body becomes a stream that
 * counts bytes.
 */
export async function transmit(
  url: string,
  outgoing: Outgoing,
  fetcher: typeof fetch | undefined,
  onUpload: UploadProgress | undefined,
): Promise<Response> {
  const { body } = outgoing;
  if (body === undefined || (onUpload === undefined && !(body instanceof ReadableStream)))
    return send(url, outgoing, fetcher);
  const blob = typeof body === 'string' ? new Blob([body]) : body;
  const xhr = fetcher === undefined ? xhrHere() : undefined;
  if (xhr !== undefined && blob instanceof Blob && onUpload !== undefined)
    return transmitByXhr(xhr, url, { ...outgoing, body: blob }, onUpload);
  const total = blob instanceof Blob ? blob.size : undefined;
  const stream = blob instanceof Blob ? blob.stream() : blob;
  const headers = { ...outgoing.headers, ...(total === undefined ? {} : { 'Content-Length': String(total) }) };
  const counted = onUpload === undefined ? stream : count(stream, (sent) => onUpload(sent, total));
  return send(url, { ...outgoing, headers, body: counted }, fetcher);
}

function send(
  url: string,
  { method, headers, body, signal }: Outgoing,
  fetcher: typeof fetch = fetch,
): Promise<Response> {
  return fetcher(url, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
    ...(body instanceof ReadableStream ? { duplex: 'half' as const } : {}),
    ...(signal === undefined ? {} : { signal }),
  });
}

function count(stream: ReadableStream<Uint8Array>, onSent: (sent: number) => void): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let sent = 0;
  onSent(0);
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      sent += value.byteLength;
      controller.enqueue(value);
      onSent(sent);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

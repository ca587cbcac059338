import type { UploadProgress } from './interface.js';

/** The part of XMLHttpRequest that is used; the types of Node do not have it. */
interface Xhr {
  readonly readyState: number;
  readonly status: number;
  readonly responseText: string;
  readonly upload: { onprogress: ((event: { loaded: number }) => void) | null };
  onreadystatechange: (() => void) | null;
  onprogress: (() => void) | null;
  onload: (() => void) | null;
  onerror: (() => void) | null;
  open(method: string, url: string): void;
  setRequestHeader(name: string, value: string): void;
  getAllResponseHeaders(): string;
  send(body: Blob): void;
  abort(): void;
}
type XhrClass = new () => Xhr;

/** XMLHttpRequest if it exists, which is in browsers and their workers. */
export const xhrHere = (): XhrClass | undefined =>
  (globalThis as { XMLHttpRequest?: XhrClass }).XMLHttpRequest ?? undefined;

const HEADERS_RECEIVED = 2;

/** Like `fetch`: resolves when the headers arrive, and the body is a stream. Supports only text bodies. */
export function transmitByXhr(
  XhrHere: XhrClass,
  url: string,
  outgoing: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Blob;
    readonly signal: AbortSignal | undefined;
  },
  onUpload: UploadProgress,
): Promise<Response> {
  const { method, headers, body, signal } = outgoing;
  return new Promise((resolve, reject) => {
    const xhr = new XhrHere();
    const encoder = new TextEncoder();
    let given = 0;
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const give = (): void => {
      const text = xhr.responseText.slice(given);
      given += text.length;
      if (text !== '') controller?.enqueue(encoder.encode(text));
    };
    const fail = (reason: Error): void => {
      signal?.removeEventListener('abort', onAbort);
      controller?.error(reason);
      controller = undefined;
      reject(reason);
    };
    const onAbort = (): void => {
      fail(signal?.reason as Error);
      xhr.abort();
    };
    const stream = new ReadableStream<Uint8Array>({
      start: (own) => void (controller = own),
      cancel: () => {
        controller = undefined;
        signal?.removeEventListener('abort', onAbort);
        xhr.abort();
      },
    });
    if (signal?.aborted === true) return reject(signal.reason as Error);
    signal?.addEventListener('abort', onAbort);
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    onUpload(0, body.size);
    xhr.upload.onprogress = ({ loaded }) => onUpload(Math.min(loaded, body.size), body.size);
    xhr.onreadystatechange = () => {
      if (xhr.readyState === HEADERS_RECEIVED && xhr.status !== 0)
        resolve(new Response(stream, { status: xhr.status, headers: headersOf(xhr) }));
    };
    xhr.onprogress = give;
    xhr.onload = () => {
      give();
      signal?.removeEventListener('abort', onAbort);
      controller?.close();
    };
    xhr.onerror = () =>
      fail(
        new TypeError(
          `${new URL(url).origin} could not be reached, or does not allow requests from this page (cors_origins of the service).`,
        ),
      );
    xhr.send(body);
  });
}

function headersOf(xhr: Xhr): Headers {
  const headers = new Headers();
  for (const line of xhr.getAllResponseHeaders().split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return headers;
}

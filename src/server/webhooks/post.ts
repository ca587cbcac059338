import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { checkedLookup } from '../../media/url.js';

/** Bytes of an answer that are read before the connection is closed; only the status counts. */
const MOST_ANSWER_BYTES = 64 * 1024;

/**
 * Posts JSON once and returns the status. It connects to the address that was checked, and does not follow redirects:
 * their status is returned like any other.
 */
export function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  {
    isAllowedAddress,
    signal,
  }: { readonly isAllowedAddress: (address: string) => boolean; readonly signal: AbortSignal },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'http:' ? overHttp : overHttps;
    const request = send(
      url,
      {
        method: 'POST',
        agent: false, // Uses a new connection with its own check.
        lookup: checkedLookup(isAllowedAddress),
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
        signal,
      },
      (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MOST_ANSWER_BYTES) response.destroy();
        });
        response.on('close', () => resolve(response.statusCode ?? 0));
        response.on('error', () => {}); // The status is known; close follows.
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

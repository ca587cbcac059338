import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { checkedLookup } from '../../media/url.js';

/** How much of an answer is read before the connection is cut; only the status counts. */
const MOST_ANSWER_BYTES = 64 * 1024;

/**
 * Posts JSON once and gives the status. The address that was checked is the one that is connected to. Redirects are not
 * followed: their status is given like any other.
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
        agent: false, // a connection of its own, checked by itself
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
        response.on('error', () => {}); // the status is known; close follows
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

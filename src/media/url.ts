import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import type { Agent } from 'undici';
import { QalignError } from '../base/errors.js';
import { deadline } from '../base/first-signal.js';
import { withDefaults, type MediaLimits } from './limits.js';

const MOST_REDIRECTS = 5;

/**
 * Blocks of addresses outside the public internet. A URL must not reach into the network of the host. The list has
 * IANA's special-purpose blocks, and cloud services that only their own machines can reach.
 */
// separate lists, because one list would match an IPv4 address against its mapped IPv6 form
const PRIVATE = { 4: new BlockList(), 6: new BlockList() };
for (const [address, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24], // AS112
  ['192.52.193.0', 24], // AMT
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24], // AS112
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['168.63.129.16', 32], // Azure: wire server, DNS, DHCP
  ['192.80.8.124', 32], // Equinix Metal: metadata
  ['161.26.0.0', 16], // IBM Cloud: services on the private network
  ['166.8.0.0', 14], // IBM Cloud: services on the private network
  ['199.36.153.0', 28], // Google Cloud: private access to Google APIs
] as const)
  PRIVATE[4].addSubnet(address, bits, 'ipv4');
// only 2000::/3 is global unicast; inside it are special blocks such as Teredo, documentation, and 6to4, which wraps an
// IPv4 address
for (const [address, bits] of [
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48], // AS112
  ['3fff::', 20],
] as const)
  PRIVATE[6].addSubnet(address, bits, 'ipv6');

/**
 * Returns true only for addresses of the public internet. An IPv4 address inside an IPv6 address (mapped, NAT64, 6to4)
 * is refused.
 */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  return (family === 4 && !PRIVATE[4].check(address, 'ipv4')) || (family === 6 && !PRIVATE[6].check(address, 'ipv6'));
}

export interface FetchOptions {
  readonly limits?: Partial<MediaLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Returns true for allowed addresses. Tests of other features allow loopback. */
  readonly isAllowed?: (address: string) => boolean;
}

/**
 * Fetches a picture or clip. The connection uses the checked address without a second lookup, and every redirect is
 * checked again. Size and time are limited while the bytes arrive.
 *
 * @throws QalignError MEDIA_URL_FORBIDDEN, MEDIA_URL_FAILED, MEDIA_TOO_LARGE, MEDIA_TIMEOUT, CANCELLED
 */
export async function fetchMedia(address: string, options: FetchOptions = {}): Promise<Uint8Array> {
  return fetchInto(address, gather, options);
}

/** Works as `fetchMedia`, but passes the bytes to `take` as they arrive, so that they need not fit into memory. */
export async function fetchInto<T>(
  address: string,
  take: (bytes: AsyncIterable<Buffer>) => Promise<T>,
  options: FetchOptions = {},
): Promise<T> {
  const limits = withDefaults(options.limits);
  const isAllowed = options.isAllowed ?? isPublicAddress;
  const timeout = (): QalignError =>
    new QalignError('MEDIA_TIMEOUT', `Fetching the URL took longer than ${limits.timeoutMs / 1000} s.`);
  const { signal, late, release } = deadline(limits.timeoutMs, timeout, options.signal);
  const { Agent } = await import('undici'); // on demand, because it takes 0.1 s
  const agent = new Agent({ connect: { lookup: checkedLookup(isAllowed), timeout: limits.timeoutMs } });
  try {
    return await follow(requireHttp(address), agent, limits, isAllowed, signal, take);
  } catch (error) {
    throw asMediaError(error, address, options.signal, late);
  } finally {
    release();
    await agent.destroy();
  }
}

async function follow<T>(
  start: URL,
  agent: Agent,
  limits: MediaLimits,
  isAllowed: (address: string) => boolean,
  signal: AbortSignal,
  take: (bytes: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const { request } = await import('undici');
  let url = start;
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    requireAllowedHost(url, isAllowed);
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      signal,
      headers: { accept: 'image/*, video/*' },
    });
    if (statusCode >= 300 && statusCode < 400 && typeof headers.location === 'string') {
      await body.dump();
      url = requireHttp(new URL(headers.location, url).href);
      continue;
    }
    if (statusCode !== 200) {
      await body.dump();
      throw new QalignError('MEDIA_URL_FAILED', `${shown(url)} returned status ${statusCode}.`);
    }
    return await take(limited(body, url, limits));
  }
  throw new QalignError(
    'MEDIA_URL_FAILED',
    `${shown(start)} was redirected more than ${MOST_REDIRECTS} times; use the final URL.`,
  );
}

async function* limited(
  body: AsyncIterable<unknown>,
  url: URL,
  limits: MediaLimits,
): AsyncGenerator<Buffer, void, undefined> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limits.maxBytes)
      throw new QalignError(
        'MEDIA_TOO_LARGE',
        `${shown(url)} is larger than the limit of ${limits.maxBytes} bytes; raise maxBytes to read it.`,
      );
    yield chunk;
  }
}

async function gather(bytes: AsyncIterable<Buffer>): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function requireHttp(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new QalignError(
      'MEDIA_URL_FORBIDDEN',
      `Only http and https URLs are fetched, not "${address.slice(0, 100)}".`,
    );
  if (url.username !== '' || url.password !== '')
    throw new QalignError('MEDIA_URL_FORBIDDEN', `${shown(url)} carries a user name or password; leave it out.`);
  return url;
}

/** Checks a literal address here, because it is never looked up. */
function requireAllowedHost(url: URL, isAllowed: (address: string) => boolean): void {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !isAllowed(host)) throw forbidden(host);
}

/** Looks up a host. Fails if any of its addresses is not allowed. */
export function checkedLookup(isAllowed: (address: string) => boolean): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { all: true }, (error, found) => {
      if (error !== null) return callback(error, '');
      const bad = found.find(({ address }) => !isAllowed(address));
      const first = found[0];
      if (bad !== undefined || first === undefined) return callback(forbidden(host), '');
      if (options.all === true) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

const forbidden = (host: string): QalignError =>
  new QalignError(
    'MEDIA_URL_FORBIDDEN',
    `${host} is an address of a private or special network; only public addresses are fetched.`,
  );

/** Omits credentials and query: both can be secrets, and error messages are logged. */
const shown = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`;

function asMediaError(error: unknown, address: string, own: AbortSignal | undefined, late: AbortSignal): QalignError {
  if (own?.aborted === true) return new QalignError('CANCELLED', 'Fetching was cancelled.', { cause: error });
  if (late.aborted) return late.reason as QalignError;
  if (error instanceof QalignError) return error;
  if (error instanceof Error && error.cause instanceof QalignError) return error.cause;
  const url = new URL(address);
  return new QalignError(
    'MEDIA_URL_FAILED',
    `${shown(url)} could not be fetched (${(error as NodeJS.ErrnoException).code ?? (error as Error).message}).`,
    { cause: error },
  );
}

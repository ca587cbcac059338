import { timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import { QalignError } from '../../base/errors.js';
import { hashKey, LOCAL_ID, SCOPES, type Client, type RouteScope } from './client-key.js';
import type { KeyStore } from './key-store.js';

const LOCAL: Client = { id: LOCAL_ID, name: 'local', scopes: SCOPES };
const NOBODY: Client = { id: 'anonymous', name: 'anonymous', scopes: [] };

export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);

/**
 * Checks a request before its body is read.
 * - Pages of other sites cannot call, unless their origin is in `origins`. Browsers send Sec-Fetch-Site or Origin.
 * - Without keys, only requests with a Host of this machine are answered. A foreign name that resolves to 127.0.0.1
 * (DNS rebinding) is refused.
 * - Once there was a key, requests need one until the next start: revoking the last key opens nothing.
 */
export function createAuthoriser(
  keys: Pick<KeyStore, 'all'>,
  loopback: boolean,
  origins: readonly string[] = [],
): (req: Request, scope: RouteScope) => Client {
  let hadKeys = keys.all().length > 0;
  return (req, scope) => {
    if (!origins.includes(req.get('origin') ?? '')) refuseOtherSites(req);
    if (scope === 'open') return NOBODY;
    const known = keys.all();
    hadKeys ||= known.length > 0;
    if (!hadKeys && loopback) {
      const host = (req.hostname as string | undefined) ?? ''; // HTTP/1.0 does not require the header.
      if (!isLoopback(host))
        throw new QalignError(
          'FORBIDDEN',
          `Without API keys, only requests to localhost are answered, not to "${host.slice(0, 100)}".`,
        );
      return LOCAL;
    }
    const given = apiKeyOf(req);
    if (given === undefined)
      throw new QalignError('UNAUTHORIZED', 'This route needs an API key: send "Authorization: Bearer KEY".');
    const hash = hashKey(given);
    let found: Client | undefined;
    // Compares all keys, so that the time reveals nothing.
    for (const row of known) if (timingSafeEqual(row.hash, hash)) found = row;
    if (found === undefined) throw new QalignError('UNAUTHORIZED', 'The API key is unknown or was revoked.');
    if (scope !== 'any' && !found.scopes.includes(scope) && !found.scopes.includes('admin')) {
      throw new QalignError(
        'FORBIDDEN',
        `The key "${found.name}" does not have the scope "${scope}"; it has ${found.scopes.join(', ')}.`,
      );
    }
    return found;
  };
}

/**
 * `same-site` is missing on purpose: it includes pages on other ports of this machine. `none`: the user typed the URL.
 */
const OWN_SITES: readonly string[] = ['same-origin', 'none'];

function refuseOtherSites(req: Request): void {
  const site = req.get('sec-fetch-site');
  const origin = req.get('origin');
  const foreign =
    site !== undefined
      ? !OWN_SITES.includes(site)
      : origin !== undefined && origin !== `${req.protocol}://${req.get('host') ?? ''}`;
  if (foreign && req.method !== 'GET')
    throw new QalignError('FORBIDDEN', 'Pages of other sites are not allowed to call this service.');
}

/** `Bearer KEY`, `X-API-Key: KEY`, or the password of Basic authentication, which browsers prompt for. */
function apiKeyOf(req: Request): string | undefined {
  const header = req.get('authorization');
  const bearer = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
  const basic = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1];
  if (basic !== undefined)
    return Buffer.from(basic, 'base64').toString('utf8').split(':').slice(1).join(':') || undefined;
  return bearer ?? req.get('x-api-key');
}

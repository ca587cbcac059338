import { isIP } from 'node:net';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { isPublicAddress } from '../../media/url.js';
import { isLoopback } from '../http/auth.js';

type Rules = ServeConfig['webhooks'];

/** Allowed destinations of webhooks: configured hosts, by https, at public addresses. */
export interface Destinations {
  /** @throws QalignError WEBHOOK_FORBIDDEN */
  check(address: string): URL;
  readonly isAllowedAddress: (address: string) => boolean;
}

export function createDestinations(
  { hosts, allow_loopback }: Pick<Rules, 'hosts' | 'allow_loopback'>,
  isPublic: (address: string) => boolean = isPublicAddress,
): Destinations {
  const isAllowedAddress = (address: string): boolean => isPublic(address) || (allow_loopback && isLoopback(address));
  return {
    isAllowedAddress,
    check(address) {
      const url = URL.canParse(address) ? new URL(address) : undefined;
      if (url === undefined) throw forbidden('The webhook is not a URL.');
      const plain = url.protocol === 'http:' && allow_loopback && isLoopback(url.hostname);
      if (url.protocol !== 'https:' && !plain) throw forbidden('The webhook must be an https URL.');
      if (url.username !== '' || url.password !== '')
        throw forbidden('The URL of the webhook contains a user name or password; remove it.');
      if (!hosts.some((host) => host.toLowerCase() === url.host))
        throw forbidden(
          `Webhooks to ${url.host.slice(0, 200)} are not allowed; the operator of the service lists their hosts (webhooks.hosts).`,
        );
      const literal = url.hostname.replace(/^\[|\]$/g, '');
      if (isIP(literal) !== 0 && !isAllowedAddress(literal))
        throw forbidden(`${literal} is an address of a private or special network; webhooks are not sent there.`);
      return url;
    },
  };
}

const forbidden = (message: string): QalignError => new QalignError('WEBHOOK_FORBIDDEN', message);

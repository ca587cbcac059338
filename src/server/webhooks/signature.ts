import { createHmac } from 'node:crypto';
import { QalignError } from '../../base/errors.js';

const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/;
const KEY_BYTES = { least: 24, most: 64 };

/**
 * Signs a message as in Standard Webhooks: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, in base64 behind `v1,`. Several
 * secrets give several signatures, separated by spaces.
 */
export type Sign = (id: string, timestamp: number, body: string) => string;

/**
 * `secrets`: one secret, or several separated by spaces, so that receivers can change theirs one after the other.
 * @throws QalignError CONFIG_INVALID, without a secret in its message
 */
export function signerOf(secrets: string | null): Sign {
  const keys = (secrets ?? '').trim().split(/\s+/).map(keyOf);
  return (id, timestamp, body) =>
    keys
      .map((key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`)
      .join(' ');
}

function keyOf(secret: string): Buffer {
  const key = Buffer.from(SECRET.exec(secret)?.[1] ?? '', 'base64');
  if (key.length >= KEY_BYTES.least && key.length <= KEY_BYTES.most) return key;
  throw new QalignError(
    'CONFIG_INVALID',
    `webhooks.secret must be whsec_ followed by ${KEY_BYTES.least} to ${KEY_BYTES.most} bytes in base64; separate several secrets by spaces. printf 'whsec_%s' "$(openssl rand -base64 32)" makes one.`,
  );
}

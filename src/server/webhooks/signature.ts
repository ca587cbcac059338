import { createHmac } from 'node:crypto';
import { QalignError } from '../../base/errors.js';

const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/;
const KEY_BYTES = { least: 24, most: 64 };

/** Signs what is sent, as Standard Webhooks says: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, in base64 behind `v1,`. */
export type Sign = (id: string, timestamp: number, body: string) => string;

/** @throws QalignError CONFIG_INVALID, without the secret */
export function signerOf(secret: string | null): Sign {
  const key = Buffer.from(SECRET.exec(secret ?? '')?.[1] ?? '', 'base64');
  if (key.length < KEY_BYTES.least || key.length > KEY_BYTES.most)
    throw new QalignError(
      'CONFIG_INVALID',
      `webhooks.secret must be whsec_ followed by ${KEY_BYTES.least} to ${KEY_BYTES.most} bytes in base64; printf 'whsec_%s' "$(openssl rand -base64 32)" makes one.`,
    );
  return (id, timestamp, body) =>
    `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

import Type, { type Static } from 'typebox';
import { closed } from './protocol/shapes.js';

/** A CURVE key of 32 bytes in Z85, the format of ZeroMQ. */
const Key = Type.String({ pattern: '^[0-9a-zA-Z.:+=^!/*?&<>()\\[\\]{}@%$#-]{40}$' });
/** Keys of the listening side: its own key pair, and the public keys that can connect. */
export const HeadKeys = closed({ public_key: Key, secret_key: Key, allowed_keys: Type.Array(Key, { minItems: 1 }) });
export type HeadKeys = Static<typeof HeadKeys>;
/** Keys of a remote worker (read in Python): its own key pair, and the public key of the listening side. */
export interface WorkerKeys {
  readonly public_key: string;
  readonly secret_key: string;
  readonly server_key: string;
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Encodes bytes in Z85 (ZeroMQ RFC 32): every 4 bytes become 5 characters. */
export function z85(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const word = view.getUint32(at);
    for (const place of [85 ** 4, 85 ** 3, 85 ** 2, 85, 1]) text += ALPHABET[Math.floor(word / place) % 85];
  }
  return text;
}

/** Returns true if the host of `tcp://HOST:PORT` is a loopback address. */
export function isLoopback(address: string): boolean {
  return /^tcp:\/\/(127(\.\d{1,3}){3}|\[::1\]|localhost):/.test(address);
}

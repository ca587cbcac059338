import { randomBytes, createHash } from 'node:crypto';

/** The id of what is made: by the key of `keyOf`, so that a repeated request finds it, or a new one. */
export function idOf(kind: string, key: string | undefined): string {
  return `${kind}_${key === undefined ? randomBytes(12).toString('hex') : createHash('sha256').update(`${kind}\n${key}`).digest('hex').slice(0, 24)}`;
}

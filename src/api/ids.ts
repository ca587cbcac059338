import { randomBytes, createHash } from 'node:crypto';

/** An id for a new job or run: derived from the key of `keyOf`, so that a repeated request finds it, or random. */
export function idOf(kind: string, key: string | undefined): string {
  return `${kind}_${key === undefined ? randomBytes(12).toString('hex') : createHash('sha256').update(`${kind}\n${key}`).digest('hex').slice(0, 24)}`;
}

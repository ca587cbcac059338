import { QalignError } from '../../base/errors.js';
import { formatBytes } from '../../base/units.js';
import type { MediaLimits } from '../limits.js';

/** Called before a decoder allocates this many bytes. @throws NeedsMemory if they were not granted */
export type Afford = (bytes: number) => void;

/** Limits of a decoder that requests memory before it allocates. */
export interface DecodeLimits extends MediaLimits {
  readonly afford?: Afford | undefined;
}

/** Thrown before decoding starts: it needs more memory than was granted. */
export class NeedsMemory extends QalignError {
  constructor(readonly bytes: number) {
    super('MEDIA_TOO_LARGE', `Decoding the picture needs ${formatBytes(bytes)} of memory, more than was granted.`);
  }
}

/** Allows up to `granted` bytes in total. `held` is the number of bytes that the caller already uses. */
export const grantOf =
  (granted: number, held = 0): Afford =>
  (bytes) => {
    if (held + bytes > granted) throw new NeedsMemory(held + bytes);
  };

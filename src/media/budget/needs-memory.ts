import { QalignError } from '../../base/errors.js';
import { formatBytes } from '../../base/units.js';
import type { MediaLimits } from '../limits.js';

/** Called before memory is taken for so many bytes. @throws NeedsMemory when they were not granted */
export type Afford = (bytes: number) => void;

/** The limits of a decoder that asks before it takes memory. */
export interface DecodeLimits extends MediaLimits {
  readonly afford?: Afford | undefined;
}

/** Decoding has not begun: it takes more memory than was granted. */
export class NeedsMemory extends QalignError {
  constructor(readonly bytes: number) {
    super('MEDIA_TOO_LARGE', `Decoding the picture takes ${formatBytes(bytes)} of memory, which was not granted.`);
  }
}

/** What passes up to so many bytes. `held`: what the caller has taken already. */
export const grantOf =
  (granted: number, held = 0): Afford =>
  (bytes) => {
    if (held + bytes > granted) throw new NeedsMemory(held + bytes);
  };

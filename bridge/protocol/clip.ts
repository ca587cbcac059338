import Type from 'typebox';
import { PixelBuffer } from './score.js';
import { closed, Count, Positive, Text } from './shapes.js';

/**
 * The next frames of a clip, for the worker to encode and keep as features. `first` is how many frames it keeps of
 * this clip already: 0 begins the clip, and nothing is sent twice or left out.
 */
export const EncodeParams = closed({
  clip: Text,
  first: Count,
  buffers: Type.Array(PixelBuffer, { minItems: 1, maxItems: 1 }),
});
/** `frames` of this clip are kept now. */
export const EncodeResult = closed({
  frames: Positive,
  timings: closed({ compute_ms: Type.Number({ minimum: 0 }) }),
});

/** Lets the features of a clip go, which may be gone already. */
export const ReleaseParams = closed({ clip: Text });
/** What the worker still keeps of other clips. */
export const ReleaseResult = closed({ clips: Count, bytes: Count });

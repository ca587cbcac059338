import Type from 'typebox';
import { PixelBuffer } from './score.js';
import { closed, Count, Positive, Text } from './shapes.js';

/**
 * The next frames of a clip, which the worker encodes and keeps as features. `first` is the number of frames of this
 * clip that it already has. 0 begins the clip. No frame is sent twice or left out.
 */
export const EncodeParams = closed({
  clip: Text,
  first: Count,
  buffers: Type.Array(PixelBuffer, { minItems: 1, maxItems: 1 }),
});
/** `frames` is the number of frames of this clip that the worker now has. */
export const EncodeResult = closed({
  frames: Positive,
  timings: closed({ compute_ms: Type.Number({ minimum: 0 }) }),
});

/** Deletes the features of a clip. It is not an error if the worker no longer has them. */
export const ReleaseParams = closed({ clip: Text });
/** Number of clips that the worker still has, and bytes of their features. */
export const ReleaseResult = closed({ clips: Count, bytes: Count });

import { createHash } from 'node:crypto';
import { LEVELS, LEVEL_VALUES, type Scale } from '../../scoring/levels.js';
import type { Preprocessing } from '../../api/result.js';

/** Raised by whoever changes a computation so that scores move by more than rounding (1e-5 in fp32). */
const MATHS_VERSION = 1;

/**
 * Sixteen hex digits over everything that can change a score: weights, precision, the prompt's template, the levels and
 * their values on the scale, how pixels and frames are made, and the version of the computation.
 *
 * The device is left out on purpose: the same precision on another device agrees within the tolerance that batches and
 * worker counts have, and a run may be resumed on another machine. It stands in every result beside the version.
 */
export function scoreVersion(parts: {
  weightsSha256: string;
  precision: string;
  promptText: string;
  scale: Scale;
  preprocessing: Omit<Preprocessing, 'decoder'>;
}): string {
  const { size, pad, resize, auto_orient, fps, max_frames, frame_rule } = parts.preprocessing;
  // a list, not an object: its order is fixed here and nowhere else
  const everything = [
    MATHS_VERSION,
    parts.weightsSha256,
    parts.precision,
    parts.promptText,
    LEVELS,
    parts.scale,
    LEVEL_VALUES[parts.scale],
    size,
    pad,
    resize,
    auto_orient,
    fps,
    max_frames,
    frame_rule,
  ];
  return createHash('sha256').update(JSON.stringify(everything)).digest('hex').slice(0, 16);
}

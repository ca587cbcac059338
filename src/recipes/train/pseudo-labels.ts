import { mulberry32 } from '../../base/random.js';
import { decodeImage } from '../../media/decode/decode.js';
import { DISTORTIONS, distort, strengthAt, type Distortion } from '../../media/distort.js';
import { readInput } from '../../media/image-file.js';
import { prepareFrame } from '../../media/image.js';
import { withDefaults, type MediaLimits } from '../../media/limits.js';
import type { FrameForm } from '../../media/views/views.js';

/** Number of distorted steps in a series, in addition to the picture itself. */
export const STEPS = 4;

/**
 * Creates a series of STEPS prepared frames with falling quality for each kind of distortion of a picture. Strengths
 * are random, one from each of STEPS equal parts of the range, so that training covers all strengths.
 */
export async function* distortedSeries(
  file: string,
  form: FrameForm,
  seed: number,
  given?: Partial<MediaLimits>,
): AsyncGenerator<{ kind: Distortion; frames: Uint8Array[] }> {
  const limits = withDefaults(given);
  const picture = await decodeImage(await readInput(file, limits), limits, false);
  const draw = mulberry32(seed);
  for (const [number, kind] of DISTORTIONS.entries()) {
    const frames: Uint8Array[] = [];
    for (let step = 0; step < STEPS; step++) {
      const strength = strengthAt(kind, (step + draw()) / STEPS);
      frames.push(prepareFrame(await distort(picture, kind, strength, seed * DISTORTIONS.length + number), form).data);
    }
    yield { kind, frames };
  }
}

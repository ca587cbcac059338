import { mulberry32 } from '../../base/random.js';
import { decodeImage } from '../../media/decode/decode.js';
import { DISTORTIONS, distort, strengthAt, type Distortion } from '../../media/distort.js';
import { readInput } from '../../media/image-file.js';
import { prepareFrame } from '../../media/image.js';
import { withDefaults, type MediaLimits } from '../../media/limits.js';

/** Steps of a series below the picture itself. */
export const STEPS = 4;

/**
 * Every kind of distortion of one picture, each as STEPS prepared frames of falling quality. Strengths are drawn, one
 * from each of STEPS equal parts of the range, so that training sees all strengths and not a few.
 */
export async function* distortedSeries(
  file: string,
  size: number,
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
      frames.push(
        prepareFrame(await distort(picture, kind, strength, seed * DISTORTIONS.length + number), { size }).data,
      );
    }
    yield { kind, frames };
  }
}

import { QalignError } from '../../base/errors.js';
import { prepareFrame } from '../image.js';
import type { Rational } from './frame-indices.js';
import { sampleVideo, type SampleVideoOptions } from './video.js';

export interface PreparedVideo {
  /** uint8 RGB [frames, size, size, 3]. */
  readonly data: Uint8Array;
  readonly frames: number;
  readonly fps: Rational;
  readonly indices: readonly number[];
  readonly warnings: readonly string[];
}

/**
 * A clip as the model takes it. Holds the prepared frames and one decoded one, never the decoded clip. @throws as
 * sampleVideo
 */
export async function prepareVideo(
  input: string | Uint8Array,
  options: SampleVideoOptions & { readonly size: number },
): Promise<PreparedVideo> {
  const { size, ...sampling } = options;
  const sample = await sampleVideo(input, sampling);
  const frameBytes = size * size * 3;
  const data = new Uint8Array(sample.indices.length * frameBytes);
  let frames = 0;
  for await (const frame of sample.frames) data.set(prepareFrame(frame, { size }).data, frames++ * frameBytes);
  if (frames === 0) throw new QalignError('MEDIA_CORRUPT', 'No frame of the clip could be decoded.');
  return {
    data: data.subarray(0, frames * frameBytes),
    frames,
    fps: sample.fps,
    indices: sample.indices,
    warnings: sample.warnings,
  };
}

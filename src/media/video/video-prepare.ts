import { QalignError } from '../../base/errors.js';
import type { FrameRule } from '../../prompts/subject.js';
import { prepareFrame } from '../image.js';
import type { MediaInput } from '../media-input.js';
import { sampleVideo, type SampleVideoOptions } from './video.js';

export interface PreparedVideo {
  /** uint8 RGB [frames, size, size, 3]. */
  readonly data: Uint8Array;
  readonly frames: number;
  /** Of a frame, upright, before padding and resizing, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly frameRule: FrameRule;
  readonly warnings: readonly string[];
}

/**
 * A clip as the model takes it. Holds the prepared frames and one decoded one, never the decoded clip. @throws as
 * sampleVideo
 */
export async function prepareVideo(
  input: MediaInput,
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
    width: sample.width,
    height: sample.height,
    frameRule: sample.frameRule,
    warnings: sample.warnings,
  };
}

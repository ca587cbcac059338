/** src/media/views draws what a model sees of a picture. A frame has all views, stacked from top to bottom. */
import { WHOLE, type View } from '../../../bridge/protocol/views.js';
import { padAndResize, type RawPicture } from '../resample/resample.js';
import { nativeView } from './native.js';

/** Side and views of the frames of a model. `views` is absent if it sees only the whole picture. */
export interface FrameForm {
  /** Side of a view in pixels. */
  readonly size: number;
  readonly views?: readonly View[];
}

/** Draws one view as uint8 RGB [size, size, 3]. */
const DRAW: Readonly<Record<View, (picture: RawPicture, size: number) => Uint8Array>> = {
  whole: padAndResize,
  native: nativeView,
};

/** Size in bytes of a frame: uint8 RGB [views · size, size, 3]. */
export const frameBytes = (size: number, views: readonly View[] = WHOLE): number => 3 * size * size * views.length;

/**
 * Draws the views of a picture.
 * @param size side of a view in pixels
 * @returns uint8 RGB, `views.length · size` rows of `size` pixels, in a new buffer
 */
export function drawFrame(picture: RawPicture, size: number, views: readonly View[] = WHOLE): Uint8Array {
  const frame = new Uint8Array(frameBytes(size, views));
  for (const [number, view] of views.entries()) frame.set(DRAW[view](picture, size), number * frameBytes(size));
  return frame;
}

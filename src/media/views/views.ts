/** src/media/views draws what a model sees of a picture. A frame has all views, stacked from top to bottom. */
import type { Preparation } from '../../../bridge/protocol/chat.js';
import { WHOLE, type View } from '../../../bridge/protocol/views.js';
import { padAndResize, resizePicture, type RawPicture } from '../resample/resample.js';
import { smartSize, withinSide, type Size } from '../resample/smart-size.js';
import { nativeView } from './native.js';

/** A frame with a side over `long_side` pixels is first reduced to it, as a separate resizing. */
export type FramePreparation = Preparation & { readonly long_side?: number };

/** The preparation of the frames of a clip. `longSide` is absent if they are taken as decoded. */
export const preparationOfClip = (
  preparation: Preparation | undefined,
  longSide: number | undefined,
): FramePreparation | undefined =>
  preparation === undefined || longSide === undefined ? preparation : { ...preparation, long_side: longSide };

/** Side and views of the frames of a model. `views` is absent if it sees only the whole picture. */
export interface FrameForm {
  /** Side of a view in pixels. */
  readonly size: number;
  readonly views?: readonly View[];
  /** For models that take pictures that are not square. The frame then has the whole picture, without padding. */
  readonly preparation?: FramePreparation;
}

/** Draws one view as uint8 RGB [size, size, 3]. */
const DRAW: Readonly<Record<View, (picture: RawPicture, size: number) => Uint8Array>> = {
  whole: padAndResize,
  native: nativeView,
};

/** Size in bytes of a frame: uint8 RGB [views · size, size, 3]. */
export const frameBytes = (size: number, views: readonly View[] = WHOLE): number => 3 * size * size * views.length;

/**
 * Size in pixels of the frame of a picture.
 * @throws QalignError MEDIA_TOO_LARGE for an aspect ratio that the model refuses
 */
export function frameSize(picture: Size, { size, views = WHOLE, preparation }: FrameForm): Size {
  if (preparation === undefined) return { width: size, height: size * views.length };
  const { width, height } = reducedSize(picture, preparation);
  return preparation.kind === 'smart' ? smartSize({ width, height }, preparation) : { width, height };
}

const reducedSize = (picture: Size, { long_side: most }: FramePreparation): Size =>
  most === undefined ? picture : withinSide(picture, most);

/** Bytes of memory that `drawFrame` takes for its result and the rows between the two passes of resizing. */
export function drawingBytes(picture: Size, form: FrameForm): number {
  if (form.preparation === undefined) return picture.height * form.size * 3; // callers count the frame itself
  const { width, height } = frameSize(picture, form);
  const drawn = 3 * width * (height + (form.preparation.kind === 'smart' ? picture.height : 0));
  const reduced = reducedSize(picture, form.preparation);
  return reduced === picture ? drawn : drawn + 3 * reduced.width * (reduced.height + picture.height);
}

/**
 * Draws a picture as the model takes it.
 * @returns uint8 RGB of `frameSize(picture, form)`, in a new buffer
 * @throws QalignError MEDIA_CORRUPT, MEDIA_TOO_LARGE
 */
export function drawForm(picture: RawPicture, form: FrameForm): Uint8Array {
  const { size, views, preparation } = form;
  if (preparation === undefined) return drawFrame(picture, size, views);
  const { width, height } = reducedSize(picture, preparation);
  const fits = width === picture.width && height === picture.height;
  const first = fits ? picture : { width, height, data: resizePicture(picture, { width, height }) };
  return resizePicture(first, frameSize(picture, form));
}

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

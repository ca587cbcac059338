import { QalignError } from '../../base/errors.js';

/** Bounds of the size that a model of the Qwen families takes. */
export interface SmartBounds {
  /** Both sides become multiples of it. */
  readonly multiple: number;
  /** Smaller pictures are enlarged. */
  readonly min_pixels: number;
  readonly max_pixels: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A frame of 448 x 448 pixels: one frame of the first model, and the unit of the cost of other frames. */
const COST_PIXELS = 448 * 448;

/** The cost of a frame of this size, in frames of 448 x 448 pixels, at least 1. */
export const costOf = ({ width, height }: Size): number => Math.max(1, Math.round((width * height) / COST_PIXELS));

/** Pictures whose longer side is more than this many times the shorter one are refused, as the published rule does. */
const MOST_ASPECT = 200;

/**
 * The size to which the Qwen families resize a picture: sides that are multiples of `multiple`, near the aspect ratio,
 * with `min_pixels` to `max_pixels` pixels. Equal to the published rule in double precision.
 *
 * @param picture size in pixels, both sides at least 1
 * @throws QalignError MEDIA_TOO_LARGE if one side is more than 200 times the other
 */
export function smartSize({ width, height }: Size, { multiple, min_pixels, max_pixels }: SmartBounds): Size {
  if (Math.max(width, height) / Math.min(width, height) > MOST_ASPECT)
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `The picture is ${width}x${height}; the model takes no picture with a side over ${MOST_ASPECT} times the other. Cut it into parts.`,
    );
  const near = (side: number): number => roundHalfEven(side / multiple) * multiple;
  const pixels = near(height) * near(width);
  if (pixels > max_pixels) {
    const factor = Math.sqrt((height * width) / max_pixels);
    const down = (side: number): number => Math.max(multiple, Math.floor(side / factor / multiple) * multiple);
    return { width: down(width), height: down(height) };
  }
  if (pixels < min_pixels) {
    const factor = Math.sqrt(min_pixels / (height * width));
    const up = (side: number): number => Math.ceil((side * factor) / multiple) * multiple;
    return { width: up(width), height: up(height) };
  }
  return { width: near(width), height: near(height) };
}

/** A size whose longer side is at most `most` pixels; other sides are cut off to whole pixels, and are at least 1. */
export function withinSide(picture: Size, most: number): Size {
  const { width, height } = picture;
  const longest = Math.max(width, height);
  if (longest <= most) return picture;
  const cut = (side: number): number => Math.max(1, Math.trunc(side * (most / longest)));
  return { width: cut(width), height: cut(height) };
}

/** Python's round(): a half goes to the even neighbour. */
export function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

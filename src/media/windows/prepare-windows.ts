/** src/media/windows cuts windows from a picture at native pixels, for its quality map. */
import { planWindows, type MapOptions, type WindowPlan } from '../../scoring/quality-map.js';
import { prepareFrame, withPicture, type PreparedImage, type PrepareImageOptions } from '../image.js';
import type { MediaInput } from '../media-input.js';
import type { RawPicture } from '../resample/resample.js';
import { frameBytes } from '../views/views.js';

/** The part of the windows of a picture that one call prepares. */
export interface WindowRange {
  /** Index of the first window, row by row from the top. With 0, the whole picture is also prepared, before it. */
  readonly from: number;
  /** Maximum number of windows. */
  readonly count: number;
}

export type PrepareWindowsOptions = PrepareImageOptions & { readonly map: MapOptions } & WindowRange;

/** The prepared windows of a range, after the whole picture if the range begins with the first window. */
export interface PreparedWindows extends Pick<PreparedImage, 'original' | 'warnings' | 'decoder'> {
  /** Windows of the whole picture, from its size. */
  readonly plan: WindowPlan;
  /** uint8 RGB [pictures, views · size, size, 3]. */
  readonly data: Uint8Array;
}

/**
 * Decodes a picture and prepares some of its windows, each as {@link prepareImage} prepares a picture of that size.
 * Decoding is repeated for each range, so that memory holds one range instead of a decoded picture.
 *
 * @throws QalignError as prepareImage; NeedsMemory
 */
export async function prepareWindows(input: MediaInput, options: PrepareWindowsOptions): Promise<PreparedWindows> {
  const { size, views, from, count, map } = options;
  return withPicture(input, options, (picture, afford) => {
    const plan = planWindows(picture.width, picture.height, size, map, views?.length);
    const cuts = windowsOf(plan).slice(from, from + count);
    const pictures = cuts.length + (from === 0 ? 1 : 0);
    const bytes = pictures * frameBytes(size, views);
    afford?.(bytes + 3 * (plan.window ** 2 + plan.window * size));
    const data = new Uint8Array(bytes);
    let at = 0;
    const add = (one: RawPicture): PreparedImage => {
      const prepared = prepareFrame(one, options);
      data.set(prepared.data, at);
      at += prepared.data.length;
      return prepared;
    };
    const { warnings = [], decoder } = from === 0 ? add(picture) : picture;
    for (const { x, y } of cuts) add(cut(picture, x, y, plan.window));
    const original = { width: picture.width, height: picture.height };
    return { plan, data, original, warnings, ...(decoder === undefined ? {} : { decoder }) };
  });
}

const windowsOf = ({ xs, ys }: WindowPlan): { x: number; y: number }[] => ys.flatMap((y) => xs.map((x) => ({ x, y })));

/** A square of `side` pixels, with its left upper corner at x, y. */
export function cut({ width, data }: RawPicture, x: number, y: number, side: number): RawPicture {
  const out = new Uint8Array(3 * side * side);
  for (let row = 0; row < side; row++) {
    const start = 3 * ((y + row) * width + x);
    out.set(data.subarray(start, start + 3 * side), 3 * side * row);
  }
  return { width: side, height: side, data: out };
}

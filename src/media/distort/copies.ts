import { WHOLE } from '../../../bridge/protocol/views.js';
import { mulberry32 } from '../../base/random.js';
import { grantOf } from '../budget/needs-memory.js';
import { decodeImage } from '../decode/decode.js';
import { prepareFrame } from '../image.js';
import { readInput } from '../image-file.js';
import { withDefaults, type MediaLimits } from '../limits.js';
import type { MediaInput } from '../media-input.js';
import type { RawPicture } from '../resample/resample.js';
import type { FrameForm } from '../views/views.js';
import { distort } from './distort.js';
import type { Family } from './families.js';
import { open, pixels, resized } from './pixels.js';
import { onScreen } from './screen.js';
import { drawRatedShape, drawSeriesShape, type Shape } from './shape.js';

/** A changed copy of a picture, and distortions of it. Plain data, so that a thread can receive it. */
export interface CopyPlan {
  /** The copy is cropped or reduced as drawn with `seed`: `rated` keeps its rating, `series` varies more. */
  readonly shape?: { readonly draw: 'rated' | 'series'; readonly seed: number } | undefined;
  /** Seed of the screen that the copy is put on. */
  readonly screen?: number | undefined;
  /** Whether the first frame is the copy itself. */
  readonly own: boolean;
  /** One frame for each. */
  readonly distortions: readonly {
    readonly family: Family;
    readonly strength: number;
    readonly seed: number;
    readonly among: readonly Family[];
  }[];
}

export interface PrepareCopies extends Pick<FrameForm, 'size'> {
  /** Views of a frame; default: the whole picture. */
  readonly views?: FrameForm['views'] | undefined;
  readonly limits?: Partial<MediaLimits> | undefined;
  /** Bytes of memory that decoding and distorting can take. Default: no limit. */
  readonly granted?: number | undefined;
  readonly plans: readonly CopyPlan[];
}

/** Bytes of memory per byte of a picture: floating-point planes of a distortion, and a result of a larger size. */
const WORK = 16;

/** Number of frames of a plan. */
export const framesOf = ({ own, distortions }: CopyPlan): number => Number(own) + distortions.length;

/**
 * Decodes a picture once and prepares the frames of all plans, one after the other.
 * @throws the errors of decoding; NeedsMemory
 */
export async function prepareCopies(
  input: MediaInput,
  { size, views = WHOLE, limits: given, granted = Infinity, plans }: PrepareCopies,
): Promise<Uint8Array> {
  const limits = withDefaults(given);
  const bytes = await readInput(input, limits, undefined, grantOf(granted));
  const afford = granted === Infinity ? undefined : grantOf(granted, bytes.length);
  const picture = await decodeImage(bytes, { ...limits, afford }, false);
  afford?.(WORK * picture.data.length);
  const frames: Uint8Array[] = [];
  const add = (copy: RawPicture): unknown => frames.push(prepareFrame(copy, { size, views }).data);
  for (const { shape, screen, own, distortions } of plans) {
    let copy = picture;
    if (shape !== undefined) {
      const draw = shape.draw === 'rated' ? drawRatedShape : drawSeriesShape;
      copy = await shaped(copy, draw(copy, mulberry32(shape.seed)));
    }
    if (screen !== undefined) copy = onScreen(copy, screen);
    if (own) add(copy);
    for (const { family, strength, seed, among } of distortions)
      add(await distort(copy, family, strength, seed, among));
  }
  const all = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0));
  frames.reduce((at, frame) => (all.set(frame, at), at + frame.length), 0);
  return all;
}

async function shaped(picture: RawPicture, shape: Shape): Promise<RawPicture> {
  const [width, height] = [
    Math.max(1, Math.round(picture.width * shape.width)),
    Math.max(1, Math.round(picture.height * shape.height)),
  ];
  const left = Math.min(picture.width - width, Math.round(picture.width * shape.left));
  const top = Math.min(picture.height - height, Math.round(picture.height * shape.top));
  const cropped = await pixels(open(picture).extract({ left, top, width, height }));
  return shape.scale === 1 ? cropped : resized(cropped, width * shape.scale, height * shape.scale, 'lanczos3');
}

import { WHOLE, type View } from '../../bridge/protocol/views.js';

/** int(255 · mean) of CLIP's normalisation: the padding colour of the reference. */
export const PAD_COLOUR: readonly [number, number, number] = [122, 116, 104];

/** Name of the resampler in results: Pillow's bicubic, equal to it bit for bit. */
export const RESIZE = 'pillow-bicubic';

/** How the pixels of a picture or clip were made, as results and predictions record it. */
export interface PreprocessingRecord {
  /** Side of a view in pixels. */
  readonly size: number;
  /** What the model sees of a picture. Absent: the whole picture. */
  readonly views?: View[];
  readonly pad: number[];
  readonly resize: typeof RESIZE;
  readonly auto_orient: boolean;
  /** Frames per second of a clip. Null: the rule of the reference, one per second. */
  readonly fps: number | null;
  readonly max_frames: number | null;
  /** auto: uses time stamps if the rate of a clip varies. published: always int(fps · i), as in the reference. */
  readonly frame_rule: 'auto' | 'published';
}

/** Creates the record for views of `size` pixels. Options that are not given are those of the reference. */
export function describePreprocessing(
  size: number,
  {
    autoOrient,
    fps,
    maxFrames,
    frameRule,
    views = WHOLE,
  }: {
    readonly autoOrient?: boolean | undefined;
    readonly fps?: number | undefined;
    readonly maxFrames?: number | undefined;
    readonly frameRule?: 'auto' | 'published' | undefined;
    readonly views?: readonly View[] | undefined;
  } = {},
): PreprocessingRecord {
  return {
    size,
    ...(views.length === 1 ? {} : { views: [...views] }),
    pad: [...PAD_COLOUR],
    resize: RESIZE,
    auto_orient: autoOrient ?? false,
    fps: fps ?? null,
    max_frames: maxFrames ?? null,
    frame_rule: frameRule ?? 'auto',
  };
}

/** Fewest rows or columns at the model's size (below 64 px, size / 16). With fewer, almost nothing can be judged. */
const FEWEST_PIXELS = 4;

/** Warns if the picture fills only a strip of the padded square. */
export function thinness(
  { width, height }: { readonly width: number; readonly height: number },
  size: number,
): string[] {
  const [long, short] = [Math.max(width, height), Math.min(width, height)];
  const left = (short * size) / long;
  // a picture that is small before resizing is shown whole
  if (left >= Math.min(FEWEST_PIXELS, size / 16) || left >= short) return [];
  const of = width > height ? 'rows' : 'columns';
  return [
    `the picture is ${width}x${height}: at the model's ${size} pixels it fills ${left.toFixed(left < 1 ? 2 : 1)} of ` +
      `${size} ${of}, and the rest is padding; score parts of it instead`,
  ];
}

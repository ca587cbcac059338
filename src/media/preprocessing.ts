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

/** int(255 · mean) of CLIP's normalisation: the colour that the reference pads with. */
export const PAD_COLOUR: readonly [number, number, number] = [122, 116, 104];

/** The resampler by the name that results give it: Pillow's bicubic, equal to it bit for bit. */
export const RESIZE = 'pillow-bicubic';

/** How the pixels of a picture or clip were made, in the form in which results and predictions record it. */
export interface PreprocessingRecord {
  /** Side of the square in pixels. */
  readonly size: number;
  readonly pad: number[];
  readonly resize: typeof RESIZE;
  readonly auto_orient: boolean;
  /** Frames a second of video; null: the rule of the reference, one a second. */
  readonly fps: number | null;
  readonly max_frames: number | null;
  /** auto: by time stamps where the rate of a clip varies; published: always int(fps · i), as in the reference. */
  readonly frame_rule: 'auto' | 'published';
}

/** The record for pictures prepared at `size` pixels; whatever is not named is as in the reference. */
export function describePreprocessing(
  size: number,
  {
    autoOrient,
    fps,
    maxFrames,
    frameRule,
  }: {
    readonly autoOrient?: boolean | undefined;
    readonly fps?: number | undefined;
    readonly maxFrames?: number | undefined;
    readonly frameRule?: 'auto' | 'published' | undefined;
  } = {},
): PreprocessingRecord {
  return {
    size,
    pad: [...PAD_COLOUR],
    resize: RESIZE,
    auto_orient: autoOrient ?? false,
    fps: fps ?? null,
    max_frames: maxFrames ?? null,
    frame_rule: frameRule ?? 'auto',
  };
}

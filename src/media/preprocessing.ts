import type { Preparation } from '../../bridge/protocol/chat.js';
import { WHOLE, type View } from '../../bridge/protocol/views.js';
import type { WantedFrameRule } from '../prompts/subject.js';
import { EIGHT } from './video/frame-indices.js';

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
  /** Of models that take pictures that are not square: who resizes, and the bounds of `smart`. */
  readonly form?: Preparation['kind'];
  readonly multiple?: number;
  readonly min_pixels?: number;
  readonly max_pixels?: number;
  /** Of clips: frames with a longer side are reduced to it before. */
  readonly clip_long_side?: number;
  /** Absent without padding. */
  readonly pad?: number[];
  /** `processor`: the processor of the model, in Python. */
  readonly resize: typeof RESIZE | 'processor';
  readonly auto_orient: boolean;
  /** Frames per second of a clip. Null: the rule of the reference, one per second. */
  readonly fps: number | null;
  readonly max_frames: number | null;
  /**
   * auto: uses time stamps if the rate of a clip varies. published: always int(fps · i). eight: evenly spaced over the
   * clip.
   */
  readonly frame_rule: WantedFrameRule;
}

/** Most frames of a clip that a chat model gets, because it is sent as a whole. */
export const MOST_CHAT_FRAMES = 64;

/** How the frames of a clip are chosen for a chat model, completed with its defaults. */
export function chatFrames(asked: {
  readonly fps?: number | undefined;
  readonly maxFrames?: number | undefined;
  readonly frameRule?: WantedFrameRule | undefined;
}): { readonly maxFrames: number; readonly frameRule: WantedFrameRule } {
  const frameRule = asked.frameRule ?? (asked.fps === undefined ? 'eight' : 'auto');
  return { frameRule, maxFrames: asked.maxFrames ?? (frameRule === 'eight' ? EIGHT : MOST_CHAT_FRAMES) };
}

/**
 * Creates the record for views of `size` pixels, or for the `preparation` of a chat model. Options that are not given
 * are those of the reference, or of chat models.
 */
export function describePreprocessing(
  size: number,
  {
    autoOrient,
    fps,
    maxFrames,
    frameRule,
    views = WHOLE,
    preparation,
    clipSide,
  }: {
    readonly autoOrient?: boolean | undefined;
    readonly fps?: number | undefined;
    readonly maxFrames?: number | undefined;
    readonly frameRule?: WantedFrameRule | undefined;
    readonly views?: readonly View[] | undefined;
    readonly preparation?: Preparation | undefined;
    readonly clipSide?: number | undefined;
  } = {},
): PreprocessingRecord {
  if (preparation !== undefined) {
    const { kind: form, ...bounds } = preparation;
    const chosen = chatFrames({ fps, maxFrames, frameRule });
    return {
      size,
      form,
      ...bounds,
      ...(clipSide === undefined ? {} : { clip_long_side: clipSide }),
      resize: form === 'smart' ? RESIZE : 'processor',
      auto_orient: autoOrient ?? false,
      fps: fps ?? null,
      max_frames: chosen.maxFrames,
      frame_rule: chosen.frameRule,
    };
  }
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

/** src/media turns files, bytes and URLs into the pixels of the model. Nothing here knows about prompts or scores. */
import type { Preparation } from '../../bridge/protocol/chat.js';
import type { View } from '../../bridge/protocol/views.js';
import type { Lane } from '../base/lane.js';
import type { FrameRule, WantedFrameRule } from '../prompts/subject.js';
import { existingName } from './find/same-name.js';
import type { MapOptions } from '../scoring/quality-map.js';
import type { CopyPlan } from './distort/copies.js';
import type { PrepareImageOptions } from './image.js';
import type { MediaLimits } from './limits.js';
import type { MediaInput } from './media-input.js';
import type { MediaKind } from './media-kind.js';
import { createPreparePool, type PrepareLoad, type PreparePool } from './prepare-pool.js';
import { openFolder, openVideo, type ClipReader, type FrameChunk } from './video/clip-reader.js';
import { isFrameFolder } from './video/frame-folder.js';
import type { Size } from './resample/smart-size.js';
import type { PreparedWindows, WindowRange } from './windows/prepare-windows.js';

export type { ClipReader } from './video/clip-reader.js';

/** A picture, a clip or a folder of frames in the form that the model takes. */
export interface PreparedMedia {
  /** uint8 RGB [frames, views · size, size, 3], or [frames, height, width, 3] of `shape`. */
  readonly data: Uint8Array;
  readonly frames: number;
  /** Size of a frame in `data`, for models that take pictures that are not square. */
  readonly shape?: Size | undefined;
  /** Size in pixels of the decoded picture or of an upright frame, before padding and resizing. */
  readonly width: number;
  readonly height: number;
  /** The rule that chose the frames of a clip. */
  readonly frameRule?: FrameRule | undefined;
  /** Name of the decoder, if its pixels do not equal Pillow's. */
  readonly decoder?: string | undefined;
  /** Warnings about these pixels, in sentences. */
  readonly warnings: readonly string[];
}

export interface PrepareOptions {
  /** Side of a view in pixels. */
  readonly size: number;
  /** What the model sees of a picture. Default: the whole picture. */
  readonly views?: readonly View[] | undefined;
  /** For models that take pictures that are not square. `size` and `views` then have no effect. */
  readonly preparation?: Preparation | undefined;
  /** Rotate pictures by their EXIF orientation. Default: false, as in the reference. */
  readonly autoOrient?: boolean | undefined;
  /** Frames per second of a clip. Default: 1. */
  readonly fps?: number | undefined;
  /** Maximum number of frames of a clip, evenly spaced. */
  readonly maxFrames?: number | undefined;
  /**
   * `published`: int(fps · i) even if the rate of the clip varies. `eight`: `maxFrames` pictures of all, from the first
   * to the last. Default: `auto`.
   */
  readonly frameRule?: WantedFrameRule | undefined;
  readonly limits?: Partial<MediaLimits> | undefined;
  /** Interactive runs before bulk. Default: bulk. */
  readonly lane?: Lane | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type CopyOptions = Pick<PrepareOptions, 'size' | 'views' | 'limits' | 'signal'>;

/** A path, bytes, or a folder of the frames of a clip. */
export interface PrepareSource {
  readonly media: MediaInput;
  readonly kind: MediaKind;
}

/** Turns media into the model's pixels, for scoring and for training. */
export interface Preparer {
  /** Number of concurrent calls that keeps every thread busy. */
  readonly width: number;
  /** Prepares all frames in one call. @throws QalignError MEDIA_*, FFMPEG_*, CANCELLED */
  prepare(source: PrepareSource, options: PrepareOptions): Promise<PreparedMedia>;
  /** Prepares windows of a picture, for its quality map. @throws QalignError MEDIA_*, CANCELLED */
  windows(
    source: PrepareSource,
    options: PrepareOptions & WindowRange & { readonly map: MapOptions },
  ): Promise<PreparedWindows>;
  /**
   * Prepares changed and distorted copies of a picture for training: uint8 RGB [frames of all plans, views · size,
   * size, 3].
   * @throws QalignError MEDIA_*, CANCELLED
   */
  copies(media: MediaInput, plans: readonly CopyPlan[], options: CopyOptions): Promise<Uint8Array>;
  /**
   * Opens a clip or a folder of frames. The caller reads it in chunks or closes it. @throws the same, also while
   * reading
   */
  open(source: PrepareSource, options: PrepareOptions): Promise<ClipReader>;
  load(): PrepareLoad;
  close(): Promise<void>;
}

/**
 * Creates a preparer. The threads of the pool resize all frames, and ffmpeg decodes clips in its own process. A clip
 * can be a folder of its frames, as `dataset convert --extract-frames` writes them.
 */
export function createPreparer(pool: PreparePool = createPreparePool()): Preparer {
  return {
    width: 2 * pool.threads,
    async prepare(source, options) {
      if (source.kind !== 'image') return wholeClip(await openClip(pool, source, options));
      const made = await pool.prepareImage(source.media, pictureOptions(options));
      const { data, original, warnings, decoder, width, height } = made;
      const shape = options.preparation === undefined ? {} : { shape: { width, height } };
      return { data, frames: 1, ...shape, ...original, warnings, decoder };
    },
    windows: ({ media }, { map, from, count, ...options }) =>
      pool.prepareWindows(media, { ...pictureOptions(options), map, from, count }),
    copies: (media, plans, options) => pool.prepareCopies(media, { ...options, plans }),
    open: (source, options) => openClip(pool, source, options),
    load: () => pool.load(),
    close: () => pool.close(),
  };
}

function pictureOptions({
  size,
  views,
  preparation,
  autoOrient = false,
  limits,
  lane = 'bulk',
  signal,
}: PrepareOptions): PrepareImageOptions & { readonly lane: Lane } {
  return {
    size,
    autoOrient,
    lane,
    ...(views === undefined ? {} : { views }),
    ...(preparation === undefined ? {} : { preparation }),
    ...(limits === undefined ? {} : { limits }),
    ...(signal === undefined ? {} : { signal }),
  };
}

async function openClip(
  pool: PreparePool,
  { media: named, kind }: PrepareSource,
  { autoOrient: _, ...options }: PrepareOptions,
): Promise<ClipReader> {
  const media = typeof named === 'string' ? await existingName(named) : named;
  const folder = typeof media === 'string' && (kind === 'folder' || (await isFrameFolder(media)));
  return folder ? openFolder(pool, media, options) : openVideo(pool, media, options);
}

async function wholeClip(clip: ClipReader): Promise<PreparedMedia> {
  let whole: FrameChunk = { frames: 0, data: new Uint8Array(0) };
  for await (const chunk of clip.chunks(clip.frames)) whole = chunk; // one chunk; the end of the reader adds warnings
  const { width, height, frameRule, warnings } = clip;
  return { ...whole, width, height, frameRule, warnings };
}

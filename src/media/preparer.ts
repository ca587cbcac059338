/** The boundary of src/media: files, bytes and URLs in, the pixels of the model out; nothing of prompts or scores. */
import type { Lane } from '../base/lane.js';
import type { FrameRule } from '../prompts/subject.js';
import { existingName } from './find/same-name.js';
import type { PreparedImage } from './image.js';
import type { MediaLimits } from './limits.js';
import type { MediaInput } from './media-input.js';
import type { MediaKind } from './media-kind.js';
import { createPreparePool, type PrepareLoad, type PreparePool } from './prepare-pool.js';
import { openFolder, openVideo, type ClipReader, type FrameChunk } from './video/clip-reader.js';
import { isFrameFolder } from './video/frame-folder.js';

export type { ClipReader } from './video/clip-reader.js';

/** A picture, a clip or the frames of one, as the model takes them. */
export interface PreparedMedia {
  /** uint8 RGB [frames, size, size, 3]. */
  readonly data: Uint8Array;
  readonly frames: number;
  /** Of the decoded picture, or of a frame upright, in pixels: before padding and resizing. */
  readonly width: number;
  readonly height: number;
  /** How the frames of a clip were chosen. */
  readonly frameRule?: FrameRule | undefined;
  /** The decoder, where it is not one whose pixels equal Pillow's. */
  readonly decoder?: string | undefined;
  /** What is doubtful about these pixels, in sentences. */
  readonly warnings: readonly string[];
}

export interface PrepareOptions {
  /** Side of the square in pixels. */
  readonly size: number;
  /** Turn pictures as their EXIF orientation says; off by default, as in the reference. */
  readonly autoOrient?: boolean | undefined;
  /** Frames a second of a clip; 1 by default. */
  readonly fps?: number | undefined;
  /** Frames of a clip at most, evenly spread. */
  readonly maxFrames?: number | undefined;
  /** `published`: int(fps · i) also where the rate of the clip varies; `auto` by default. */
  readonly frameRule?: 'auto' | 'published' | undefined;
  readonly limits?: Partial<MediaLimits> | undefined;
  /** Interactive goes before bulk, which is the default. */
  readonly lane?: Lane | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A path, the bytes, or the folder of a clip's frames. */
export interface PrepareSource {
  readonly media: MediaInput;
  readonly kind: MediaKind;
}

/** Turns media into the model's pixels, for scoring and for training alike. */
export interface Preparer {
  /** So many at once keep every thread busy. */
  readonly width: number;
  /** All at once. @throws QalignError MEDIA_* and FFMPEG_* for what is missing, damaged or over a limit, CANCELLED */
  prepare(source: PrepareSource, options: PrepareOptions): Promise<PreparedMedia>;
  /** A clip or a folder of frames, to be read in chunks or closed. @throws the same, also while it is read */
  open(source: PrepareSource, options: PrepareOptions): Promise<ClipReader>;
  load(): PrepareLoad;
  close(): Promise<void>;
}

/**
 * Everything is resized on the pool's threads; clips are decoded by ffmpeg in a process of its own. A clip may be a
 * folder of its frames, as `dataset convert --extract-frames` writes them.
 */
export function createPreparer(pool: PreparePool = createPreparePool()): Preparer {
  return {
    width: 2 * pool.threads,
    async prepare(source, options) {
      if (source.kind !== 'image') return wholeClip(await openClip(pool, source, options));
      const { data, original, warnings, decoder } = await preparePicture(pool, source.media, options);
      return { data, frames: 1, ...original, warnings, decoder };
    },
    open: (source, options) => openClip(pool, source, options),
    load: () => pool.load(),
    close: () => pool.close(),
  };
}

async function preparePicture(
  pool: PreparePool,
  media: MediaInput,
  { size, autoOrient = false, limits, lane = 'bulk', signal }: PrepareOptions,
): Promise<PreparedImage> {
  return pool.prepareImage(media, {
    size,
    autoOrient,
    lane,
    ...(limits === undefined ? {} : { limits }),
    ...(signal === undefined ? {} : { signal }),
  });
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
  for await (const chunk of clip.chunks(clip.frames)) whole = chunk; // one, and then the end, with its warnings
  const { width, height, frameRule, warnings } = clip;
  return { ...whole, width, height, frameRule, warnings };
}

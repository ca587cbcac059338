/** The boundary of src/media: files, bytes and URLs in, the pixels of the model out; nothing of prompts or scores. */
import type { Lane } from '../base/lane.js';
import type { FrameRule } from '../prompts/subject.js';
import { existingName } from './find/same-name.js';
import type { PreparedImage } from './image.js';
import type { MediaLimits } from './limits.js';
import type { MediaInput } from './media-input.js';
import type { MediaKind } from './media-kind.js';
import { createPreparePool, type PrepareLoad, type PreparePool } from './prepare-pool.js';
import { isFrameFolder, readFrameFolder } from './video/frame-folder.js';
import { prepareVideo } from './video/video-prepare.js';

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

/** Turns media into the model's pixels, for scoring and for training alike. */
export interface Preparer {
  /** So many at once keep every thread busy. */
  readonly width: number;
  /** @throws QalignError MEDIA_* and FFMPEG_* for what is missing, damaged or over a limit, CANCELLED */
  prepare(
    source: { readonly media: MediaInput; readonly kind: MediaKind },
    options: PrepareOptions,
  ): Promise<PreparedMedia>;
  load(): PrepareLoad;
  close(): Promise<void>;
}

/**
 * Pictures are prepared on the pool's threads, clips by ffmpeg in a process of its own. A clip may be a folder of its
 * frames, as `dataset convert --extract-frames` writes them.
 */
export function createPreparer(pool: PreparePool = createPreparePool()): Preparer {
  return {
    width: 2 * pool.threads,
    async prepare({ media: named, kind }, options) {
      const media = typeof named === 'string' ? await existingName(named) : named;
      if (kind === 'image') {
        const { data, original, warnings, decoder } = await preparePicture(pool, media, options);
        return { data, frames: 1, ...original, warnings, decoder };
      }
      if (typeof media === 'string' && (kind === 'folder' || (await isFrameFolder(media))))
        return prepareFolder(pool, media, options);
      return prepareClip(media, options);
    },
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

/** Frames are upright and within the limits since they were extracted. */
async function prepareFolder(
  pool: PreparePool,
  folder: string,
  { size, maxFrames, lane, signal }: PrepareOptions,
): Promise<PreparedMedia> {
  return readFrameFolder(folder, { size, maxFrames }, (file) => preparePicture(pool, file, { size, lane, signal }));
}

async function prepareClip(
  media: MediaInput,
  { size, fps, maxFrames, frameRule, limits, signal }: PrepareOptions,
): Promise<PreparedMedia> {
  const clip = await prepareVideo(media, { size, fps, maxFrames, frameRule, limits, signal });
  const { data, frames, width, height, warnings } = clip;
  return { data, frames, width, height, frameRule: clip.frameRule, warnings };
}

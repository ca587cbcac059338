import { join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { Lane } from '../../base/lane.js';
import { orderedMap } from '../../base/ordered-map.js';
import type { FrameRule } from '../../prompts/subject.js';
import { thinness, type PreparedImage } from '../image.js';
import type { MediaInput } from '../media-input.js';
import type { PreparePool } from '../prepare-pool.js';
import { frameFiles } from './frame-folder.js';
import { sampleVideo, type SampleVideoOptions, type VideoSample } from './video.js';

/** Decoded frames that wait for a thread or lie on one, in bytes; one frame may be larger. */
const MOST_DECODED = 64 * 1024 ** 2;
/** More threads for one clip would wait for ffmpeg. */
const MOST_THREADS = 4;

/** Frames one after the other: `data` is uint8 RGB [frames, size, size, 3]. */
export interface FrameChunk {
  readonly frames: number;
  readonly data: Uint8Array;
}

/** A clip as the model takes it, to be read in chunks: it is never whole in memory. */
export interface ClipReader {
  /** Frames that are expected; damaged clips give fewer. */
  readonly frames: number;
  /** Of a frame, upright, before padding and resizing, in pixels. In a folder, of the first that was read. */
  readonly width: number;
  readonly height: number;
  readonly frameRule: FrameRule;
  /** What is doubtful about the frames, in sentences; complete once they have been read. */
  readonly warnings: readonly string[];
  /**
   * The clip from its beginning, in chunks of `most` frames but the last. Decoding runs ahead by a few frames. May be
   * called again once a reading has ended; the clip is then decoded anew. @throws QalignError MEDIA_* and FFMPEG_*
   */
  chunks(most: number): AsyncIterable<FrameChunk>;
  /** For a reader that is not read. */
  close(): Promise<void>;
}

export interface ClipOptions extends SampleVideoOptions {
  /** Side of the square in pixels. */
  readonly size: number;
  readonly lane?: Lane | undefined;
}

/** Decoded by ffmpeg in a process of its own, resized on the threads of the pool. @throws as sampleVideo */
export async function openVideo(pool: PreparePool, input: MediaInput, options: ClipOptions): Promise<ClipReader> {
  const { size, lane = 'bulk', ...sampling } = options;
  const { signal } = sampling;
  const given = signal === undefined ? {} : { signal };
  let sample = await sampleVideo(input, sampling);
  let unread: VideoSample | undefined = sample;
  const take = (): VideoSample | undefined => {
    const taken = unread;
    unread = undefined;
    return taken;
  };
  return {
    get frames() {
      return sample.indices.length;
    },
    get width() {
      return sample.width;
    },
    get height() {
      return sample.height;
    },
    get frameRule() {
      return sample.frameRule;
    },
    get warnings() {
      return [...sample.warnings, ...thinness(sample, size)];
    },
    async *chunks(most) {
      sample = take() ?? (await sampleVideo(input, sampling));
      const decoded = Math.floor(MOST_DECODED / (sample.width * sample.height * 3));
      const width = Math.max(1, Math.min(decoded, pool.threads, MOST_THREADS));
      const pixels = orderedMap(
        sample.frames,
        width,
        (frame) => pool.prepareFrames([frame], { size, lane, ...given }),
        signal,
      );
      yield* inChunks(pixels, size, sample.indices.length, most);
    },
    async close() {
      await take()?.frames[Symbol.asyncIterator]().return?.();
    },
  };
}

/**
 * A folder of frames, as `extractFrames` writes them: upright and within the limits since then. `prepare` makes uint8
 * RGB [size, size, 3] of one file. @throws QalignError MEDIA_NOT_FOUND
 */
export async function openFolder(
  pool: PreparePool,
  folder: string,
  { size, maxFrames, limits, lane = 'bulk', signal }: ClipOptions,
): Promise<ClipReader> {
  const files = (await frameFiles(folder, maxFrames, limits?.within)).map((name) => join(folder, name));
  const given = { ...(signal === undefined ? {} : { signal }), ...(limits === undefined ? {} : { limits }) };
  const warnings = new Set<string>();
  let original = { width: 0, height: 0 };
  const prepare = async (file: string, at: number): Promise<Uint8Array> => {
    const picture: PreparedImage = await pool.prepareImage(file, {
      size,
      autoOrient: false,
      lane,
      ...given,
    });
    if (at === 0) original = picture.original;
    for (const warning of picture.warnings) warnings.add(warning);
    return picture.data;
  };
  return {
    frames: files.length,
    get width() {
      return original.width;
    },
    get height() {
      return original.height;
    },
    frameRule: 'counted',
    get warnings() {
      return [...warnings];
    },
    chunks: (most) =>
      inChunks(
        orderedMap(files.entries(), 2 * pool.threads, ([at, file]) => prepare(file, at), signal),
        size,
        files.length,
        most,
      ),
    close: async () => {},
  };
}

/** Frames gathered in blocks of `most`; the last block has what is left. */
async function* inChunks(
  frames: AsyncIterable<Uint8Array>,
  size: number,
  expected: number,
  most: number,
): AsyncGenerator<FrameChunk, void, undefined> {
  const frameBytes = size * size * 3;
  let done = 0;
  let data = new Uint8Array(0);
  let filled = 0;
  for await (const frame of frames) {
    if (done + filled === expected)
      throw new RangeError(`The clip gave more than the ${expected} frames it announced.`);
    if (filled === 0) data = new Uint8Array(Math.min(most, expected - done) * frameBytes);
    data.set(frame, filled++ * frameBytes);
    if (filled * frameBytes < data.length) continue;
    yield { frames: filled, data };
    done += filled;
    filled = 0;
  }
  if (filled > 0) yield { frames: filled, data: data.subarray(0, filled * frameBytes) };
  if (done + filled === 0) throw new QalignError('MEDIA_CORRUPT', 'No frame of the clip could be decoded.');
}

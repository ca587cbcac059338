import { join } from 'node:path';
import type { Preparation } from '../../../bridge/protocol/chat.js';
import { WHOLE, type View } from '../../../bridge/protocol/views.js';
import { QalignError } from '../../base/errors.js';
import type { Lane } from '../../base/lane.js';
import { orderedMap } from '../../base/ordered-map.js';
import type { FrameRule } from '../../prompts/subject.js';
import type { PreparedImage } from '../image.js';
import type { MediaInput } from '../media-input.js';
import type { PreparePool } from '../prepare-pool.js';
import { thinness } from '../preprocessing.js';
import { frameFiles } from './frame-folder.js';
import { costOf, type Size } from '../resample/smart-size.js';
import { frameSize, type FrameForm } from '../views/views.js';
import { sampleVideo, type SampleVideoOptions, type VideoSample } from './video.js';

/** Bytes of decoded frames that wait for a thread or are on a thread. A single frame can be larger. */
const MOST_DECODED = 64 * 1024 ** 2;
/** More threads for one clip would only wait for ffmpeg. */
const MOST_THREADS = 4;

/** Consecutive frames: uint8 RGB [frames, views · size, size, 3], or [frames, height, width, 3] of `shape`. */
export interface FrameChunk {
  readonly frames: number;
  /** Size of a frame, for models that take pictures that are not square. */
  readonly shape?: Size | undefined;
  readonly data: Uint8Array;
}

/** A clip in the form that the model takes. It is read in chunks and is never in memory as a whole. */
export interface ClipReader {
  /** Expected number of frames. A damaged clip yields fewer. */
  readonly frames: number;
  /** Size in pixels of an upright frame before padding and resizing. For a folder: of the first frame that was read. */
  readonly width: number;
  readonly height: number;
  readonly frameRule: FrameRule;
  /** Memory of a frame, in frames of 448 x 448 pixels. Absent: 1. */
  readonly frameCost?: number | undefined;
  /** Warnings about the frames, in sentences. Complete after all frames have been read. */
  readonly warnings: readonly string[];
  /**
   * Display times of the frames that the last reading yielded, in seconds after the first picture of the clip. Complete
   * after all frames have been read.
   */
  readonly times: readonly number[];
  /**
   * Reads the clip from its beginning in chunks of `most` frames; the last chunk can be smaller. Decoding runs ahead by
   * a few frames. After a reading has ended, another call decodes the clip again. @throws QalignError MEDIA_* and
   * FFMPEG_*
   */
  chunks(most: number): AsyncIterable<FrameChunk>;
  /** Closes a reader whose chunks are not read. */
  close(): Promise<void>;
}

export interface ClipOptions extends SampleVideoOptions {
  /** Side of a view in pixels. */
  readonly size: number;
  /** What the model sees of a frame. Default: the whole frame. */
  readonly views?: readonly View[] | undefined;
  /** For models that take pictures that are not square. */
  readonly preparation?: Preparation | undefined;
  readonly lane?: Lane | undefined;
}

/** A frame in the form that the model takes. */
interface DrawnFrame {
  readonly data: Uint8Array;
  readonly size: Size;
}

/** Opens a clip. ffmpeg decodes it in its own process, and the pool resizes the frames. @throws as sampleVideo */
export async function openVideo(pool: PreparePool, input: MediaInput, options: ClipOptions): Promise<ClipReader> {
  const { size, views = WHOLE, preparation, lane = 'bulk', ...sampling } = options;
  const form = { size, views, ...(preparation === undefined ? {} : { preparation }) };
  const { signal } = sampling;
  const given = signal === undefined ? {} : { signal };
  let sample = await sampleVideo(input, sampling);
  let unread: VideoSample | undefined = sample;
  let times: number[] = [];
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
      return [...sample.warnings, ...(preparation === undefined ? thinness(sample, size) : [])];
    },
    get times() {
      return times;
    },
    frameCost: preparation && costOf(frameSize(sample, form)),
    async *chunks(most) {
      sample = take() ?? (await sampleVideo(input, sampling));
      const own: number[] = []; // an abandoned reading keeps its own list
      times = own;
      const decoded = Math.floor(MOST_DECODED / (sample.width * sample.height * 3));
      const drawn = frameSize(sample, form);
      const width = Math.max(1, Math.min(decoded, pool.threads, MOST_THREADS));
      const pixels = orderedMap(
        sample.frames,
        width,
        async (frame): Promise<DrawnFrame> => {
          own.push(frame.timeS);
          return { data: await pool.prepareFrames([frame], { ...form, lane, ...given }), size: drawn };
        },
        signal,
      );
      yield* inChunks(pixels, form, sample.indices.length, most);
    },
    async close() {
      await take()?.frames[Symbol.asyncIterator]().return?.();
    },
  };
}

/**
 * Opens a folder of frames that `extractFrames` wrote. These frames are upright and within the limits. `prepare`
 * converts one file to uint8 RGB, as the model takes it. @throws QalignError MEDIA_NOT_FOUND
 */
export async function openFolder(
  pool: PreparePool,
  folder: string,
  { size, views, preparation, maxFrames, frameRule, limits, lane = 'bulk', signal }: ClipOptions,
): Promise<ClipReader> {
  const files = await frameFiles(folder, { maxFrames, frameRule }, limits?.within);
  const given = {
    ...(preparation === undefined ? {} : { preparation }),
    ...(views === undefined ? {} : { views }),
    ...(signal === undefined ? {} : { signal }),
    ...(limits === undefined ? {} : { limits }),
  };
  const warnings = new Set<string>();
  let original = { width: 0, height: 0 };
  const prepare = async (name: string, at: number): Promise<DrawnFrame> => {
    const picture: PreparedImage = await pool.prepareImage(join(folder, name), {
      size,
      autoOrient: false,
      lane,
      ...given,
    });
    if (at === 0) original = picture.original;
    for (const warning of picture.warnings) warnings.add(warning);
    return { data: picture.data, size: picture };
  };
  return {
    frames: files.length,
    get width() {
      return original.width;
    },
    get height() {
      return original.height;
    },
    frameRule: frameRule === 'eight' ? 'eight' : 'counted',
    get warnings() {
      return [...warnings];
    },
    times: files.map(({ index }) => index),
    chunks: (most) =>
      inChunks(
        orderedMap(files.entries(), 2 * pool.threads, ([at, { name }]) => prepare(name, at), signal),
        { size, ...given },
        files.length,
        most,
      ),
    close: async () => {},
  };
}

/** Collects frames in chunks of `most`. The last chunk can be smaller. All frames have the size of the first. */
async function* inChunks(
  frames: AsyncIterable<DrawnFrame>,
  { preparation }: FrameForm,
  expected: number,
  most: number,
): AsyncGenerator<FrameChunk, void, undefined> {
  let done = 0;
  let data = new Uint8Array(0);
  let filled = 0;
  let first: Size | undefined;
  const chunk = (pixels: Uint8Array): FrameChunk => ({
    frames: filled,
    data: pixels,
    ...(preparation === undefined || first === undefined
      ? {}
      : { shape: { width: first.width, height: first.height } }),
  });
  for await (const { data: frame, size } of frames) {
    first ??= size;
    if (size.width !== first.width || size.height !== first.height)
      throw new QalignError(
        'MEDIA_CORRUPT',
        `The frames of the clip have different sizes (${first.width}x${first.height} and ${size.width}x${size.height} for the model); extract them again.`,
      );
    if (done + filled === expected) throw new RangeError(`The clip has more than the expected ${expected} frames.`);
    if (filled === 0) data = new Uint8Array(Math.min(most, expected - done) * frame.length);
    data.set(frame, filled++ * frame.length);
    if (filled * frame.length < data.length) continue;
    yield chunk(data);
    done += filled;
    filled = 0;
  }
  if (filled > 0) yield chunk(data.subarray(0, filled * 3 * (first?.width ?? 0) * (first?.height ?? 0)));
  if (done + filled === 0)
    throw new QalignError(
      'MEDIA_CORRUPT',
      'No frame of the clip can be decoded; repair the file or download it again.',
    );
}

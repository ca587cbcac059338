/**
 * Frames are chosen by hand and only decoded by ffmpeg, whose fps filter takes other pictures than the reference does.
 * Their pixels are then resized as Pillow does, bit for bit.
 */
import { constants } from 'node:fs';
import { access, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { FrameRule } from '../../prompts/subject.js';
import { GUARDS, requireFfmpeg, startTool, stopAfter, type ToolOptions } from './ffmpeg.js';
import { evenIndices, FIRST_ONLY, sampling, type Rational, type Sampling } from './frame-indices.js';
import { withDefaults, type MediaLimits } from '../limits.js';
import { pathOf, pathText, type MediaInput } from '../media-input.js';
import { firstLine, probeVideo, type Probe } from './probe.js';
import { probeWithoutFfprobe } from './probe-fallback.js';

export interface VideoFrame {
  /** Number of the picture in the clip, in the order of showing. */
  readonly index: number;
  readonly width: number;
  readonly height: number;
  /** uint8 RGB, row by row. */
  readonly data: Uint8Array;
}

export interface VideoSample {
  /** Average rate of the clip. */
  readonly fps: Rational;
  readonly indices: number[];
  /** How they were chosen. */
  readonly frameRule: FrameRule;
  /** What a person should know about these frames; complete once `frames` has been read. */
  readonly warnings: string[];
  /** Of a delivered frame, upright. */
  readonly width: number;
  readonly height: number;
  /** Can be read once; decoding starts with the first read and ends with the last, or when the reader leaves. */
  readonly frames: AsyncIterable<VideoFrame>;
}

export interface SampleVideoOptions {
  /** Pictures a second of clip; 1 as in the paper. */
  readonly fps?: number | undefined;
  /** At most so many, evenly spread over those K: the entries floor(i·K/maxFrames). */
  readonly maxFrames?: number | undefined;
  /** `published`: int(fps · i) also where the rate of the clip varies; `auto` by default. */
  readonly frameRule?: 'auto' | 'published' | undefined;
  readonly limits?: Partial<MediaLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A frame of 8192 × 8192 is 200 MB; a small file can claim far more. */
const MOST_FRAME_PIXELS = 8192 * 8192;

/**
 * The frames of a clip that the reference means: one a second, int(fps·i), the right picture also where the
 * reference's reader errs (B-frames, open GOPs, edit lists, size changes). A clip under a second gives its first frame.
 *
 * @throws QalignError MEDIA_* and FFMPEG_*; damage that only shows while decoding is thrown by `frames`
 */
export async function sampleVideo(input: MediaInput, options: SampleVideoOptions = {}): Promise<VideoSample> {
  requireSensible(options);
  const limits = withDefaults(options.limits);
  const { ffmpeg, ffprobe } = requireFfmpeg();
  const file = await asFile(input, limits);
  try {
    const tool: ToolOptions = { timeoutMs: limits.timeoutMs, signal: options.signal, fd: file.fd };
    const probe = await (ffprobe === undefined
      ? probeWithoutFfprobe(ffmpeg, file.path, tool)
      : probeVideo(ffprobe, file.path, tool));
    checkSize(probe, limits);
    const warnings = [...probe.warnings];
    const found = sampling(probe.rate, probe.packets, options.fps);
    if (found.count === 0) warnings.push('the clip is shorter than one sampling interval; its first frame was taken');
    const wanted = found.count === 0 ? FIRST_ONLY : found;
    requireFew(wanted.count, options.maxFrames, limits);
    const positions = evenIndices(wanted.count, options.maxFrames);
    const indices = positions.map(wanted.indexAt);
    const distinct = wanted.distinctUpTo(positions.at(-1) ?? 0);
    if (distinct < (positions.at(-1) ?? 0) + 1)
      warnings.push('the clip has fewer pictures a second than are wanted; some are repeated, as in the reference');
    const turned = probe.turn?.startsWith('transpose') === true;
    const size = turned ? { width: probe.height, height: probe.width } : { width: probe.width, height: probe.height };
    const job: DecodeJob = {
      ffmpeg,
      args: decodeArguments(file.path, probe, wanted.select, distinct),
      size,
      distinct,
      sampling: wanted,
      warnings,
      tool,
    };
    return {
      fps: probe.rate,
      indices,
      frameRule: 'published',
      warnings,
      ...size,
      frames: readOnce(deliver(decode(job), indices), file.remove),
    };
  } catch (error) {
    await file.remove();
    throw error;
  }
}

function requireSensible({ fps, maxFrames }: SampleVideoOptions): void {
  if (fps !== undefined && !(fps > 0 && Number.isFinite(fps)))
    throw new QalignError('USAGE', `fps must be a positive number of pictures a second, not ${fps}.`);
  if (maxFrames !== undefined && !(Number.isSafeInteger(maxFrames) && maxFrames > 0))
    throw new QalignError('USAGE', `maxFrames must be a whole number of at least 1, not ${maxFrames}.`);
}

function requireFew(count: number, maxFrames: number | undefined, limits: MediaLimits): void {
  const frames = Math.min(count, maxFrames ?? count);
  if (frames > limits.maxFrames)
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `The clip gives ${frames} frames, over the limit of ${limits.maxFrames}; use --max-frames.`,
    );
}

function checkSize({ width, height }: Probe, limits: MediaLimits): void {
  const most = Math.min(limits.maxPixels, MOST_FRAME_PIXELS);
  if (width * height > most)
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `A frame of the clip is ${width} × ${height} pixels, over the limit of ${most}.`,
    );
}

function decodeArguments(path: string, probe: Probe, select: string, frames: number): string[] {
  const scale = `scale=${probe.width}:${probe.height}:flags=bilinear`;
  const turn = probe.turn === undefined ? '' : `,${probe.turn},scale=iw:ih:flags=bilinear`;
  return [
    '-nostdin',
    ...GUARDS,
    ...(probe.autorotate === true ? [] : ['-noautorotate']),
    '-reinit_filter',
    '0',
    '-i',
    `file:${path}`,
    '-map',
    `0:${probe.stream}`,
    '-an',
    '-sn',
    '-dn',
    '-vf',
    `select=${select},${scale}${turn},format=rgb24`,
    '-sws_flags',
    'bilinear',
    '-fps_mode',
    'passthrough',
    '-frames:v',
    String(frames),
    '-f',
    'rawvideo',
    'pipe:1',
  ];
}

interface DecodeJob {
  readonly ffmpeg: string;
  readonly args: readonly string[];
  readonly size: { readonly width: number; readonly height: number };
  /** How many different frames to expect. */
  readonly distinct: number;
  readonly sampling: Sampling;
  readonly warnings: string[];
  readonly tool: ToolOptions;
}

/** The distinct frames, one at a time: the next is read when this one was taken. */
async function* decode(job: DecodeJob): AsyncGenerator<VideoFrame, void, undefined> {
  const { size, warnings } = job;
  const tool = startTool(job.ffmpeg, job.args, job.tool);
  const stop = stopAfter(tool, job.tool);
  const bytes = size.width * size.height * 3;
  let delivered = 0;
  try {
    let frame = new Uint8Array(bytes);
    let filled = 0;
    for await (const chunk of tool.stdout as AsyncIterable<Buffer>) {
      stop.hold();
      for (let at = 0; at < chunk.length;) {
        const taken = Math.min(bytes - filled, chunk.length - at);
        frame.set(chunk.subarray(at, at + taken), filled);
        filled += taken;
        at += taken;
        if (filled < bytes) continue;
        if (delivered < job.distinct) yield { index: job.sampling.distinctAt(delivered++), ...size, data: frame };
        frame = new Uint8Array(bytes);
        filled = 0;
      }
      stop.touch();
    }
    const { code, stderr } = await tool.ended;
    stop.check();
    const old = oldArguments(job.args, stderr);
    if (delivered === 0 && old !== undefined) return yield* decode({ ...job, args: old });
    const said = complaints(stderr);
    if (delivered === 0)
      throw new QalignError('MEDIA_CORRUPT', `No frame of the clip could be decoded: ${firstLine(said)}.`);
    if (delivered < job.distinct) warnings.push(`only ${delivered} of ${job.distinct} frames could be decoded`);
    if (code !== 0 || said !== '') warnings.push(`ffmpeg reported damage: ${firstLine(said)}`);
  } catch (error) {
    stop.check(); // a killed process closes its pipe in the middle: say why it was killed
    throw error;
  } finally {
    stop.release();
    tool.kill();
  }
}

/** ffmpeg before 5.1 does not know `-fps_mode`, and after 7 no longer `-vsync`. */
function oldArguments(args: readonly string[], stderr: string): string[] | undefined {
  if (!args.includes('-fps_mode') || !stderr.includes("Unrecognized option 'fps_mode'")) return undefined;
  return args.map((arg) => (arg === '-fps_mode' ? '-vsync' : arg === 'passthrough' ? '0' : arg));
}

/** Without remarks about time stamps, which raw pictures do not have. */
function complaints(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.includes('non monotonically increasing dts'))
    .join('\n');
}

/** Repeats frames where indices repeat (clips under one picture a second) and leaves out what maxFrames left out. */
async function* deliver(
  distinct: AsyncGenerator<VideoFrame, void, undefined>,
  wanted: readonly number[],
): AsyncGenerator<VideoFrame, void, undefined> {
  let at = 0;
  for await (const frame of distinct) {
    for (; wanted[at] === frame.index; at++) yield frame;
  }
}

/**
 * `done` follows the last frame, an error, or the reader's leaving: also before its first read, which a generator would
 * not notice.
 */
function readOnce(
  frames: AsyncGenerator<VideoFrame, void, undefined>,
  done: () => Promise<void>,
): AsyncIterable<VideoFrame> {
  const next = async (): Promise<IteratorResult<VideoFrame, void>> => {
    try {
      const step = await frames.next();
      if (step.done === true) await done();
      return step;
    } catch (error) {
      await done();
      throw error;
    }
  };
  const leave = async (): Promise<IteratorResult<VideoFrame, void>> => {
    await frames.return();
    await done();
    return { done: true, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: leave }) };
}

interface ClipFile {
  readonly path: string;
  /** To be handed to the programs that open `path`. */
  readonly fd?: number;
  readonly remove: () => Promise<void>;
}

/**
 * The clip as a file; bytes go to a private one. On Linux that is deleted while open, so that not even kill -9 leaves
 * it behind.
 */
async function asFile(input: MediaInput, limits: MediaLimits): Promise<ClipFile> {
  if (!(input instanceof Uint8Array)) {
    const path = pathText(pathOf(input) as string | Buffer);
    await requireFile(path, limits);
    return { path: resolve(path), remove: async () => {} };
  }
  if (input.length > limits.maxBytes) throw tooManyBytes(input.length, limits);
  if (input.length === 0) throw new QalignError('MEDIA_CORRUPT', 'The clip is empty.');
  const folder = await mkdtemp(join(tmpdir(), `qalign-${process.pid}-`));
  const removeFolder = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'clip');
    const handle = await open(path, 'wx+', 0o600);
    if (process.platform === 'linux') await removeFolder();
    let closing: Promise<void> | undefined;
    const remove = (): Promise<void> => (closing ??= handle.close().finally(removeFolder));
    await handle.writeFile(input).catch(async (error: unknown) => {
      await remove();
      throw error;
    });
    return process.platform === 'linux' ? { path: '/proc/self/fd/3', fd: handle.fd, remove } : { path, remove };
  } catch (error) {
    await removeFolder();
    throw new QalignError(
      'MEDIA_UNREADABLE',
      `The clip could not be written to ${tmpdir()} (${(error as NodeJS.ErrnoException).code}); free some space there or set TMPDIR.`,
      { cause: error },
    );
  }
}

async function requireFile(path: string, limits: MediaLimits): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new QalignError(
      error.code === 'ENOENT' ? 'MEDIA_NOT_FOUND' : 'MEDIA_UNREADABLE',
      `${path} cannot be read (${error.code}).`,
      { cause: error },
    );
  });
  if (!found.isFile()) throw new QalignError('MEDIA_UNREADABLE', `${path} is not a regular file.`);
  if (found.size === 0) throw new QalignError('MEDIA_CORRUPT', `${path} is empty.`);
  if (found.size > limits.maxBytes) throw tooManyBytes(found.size, limits);
  await access(path, constants.R_OK).catch((error: unknown) => {
    throw new QalignError('MEDIA_UNREADABLE', `${path} may not be read by this user.`, { cause: error });
  });
}

function tooManyBytes(bytes: number, limits: MediaLimits): QalignError {
  return new QalignError('MEDIA_TOO_LARGE', `The clip has ${bytes} bytes, over the limit of ${limits.maxBytes}.`);
}

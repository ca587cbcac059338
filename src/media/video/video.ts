/**
 * qalign chooses the frames, and ffmpeg only decodes them, because its fps filter takes other pictures than the
 * reference. The frames are then resized exactly as in Pillow.
 */
import { QalignError } from '../../base/errors.js';
import type { FrameRule, WantedFrameRule } from '../../prompts/subject.js';
import { withDefaults, type MediaLimits } from '../limits.js';
import type { MediaInput } from '../media-input.js';
import { openClip, type ClipFile } from './clip-file.js';
import { decodeFrames, type VideoFrame } from './decode-frames.js';
import { encryptedClip } from './encryption.js';
import { requireFfmpeg } from './tools/ffmpeg.js';
import { chooseFrames, type FrameChoice, type WantedFrame } from './frame-choice.js';
import type { Rational } from './frame-indices.js';
import { inputOf, probeVideo, type Probe } from './probe.js';
import { probeWithoutFfprobe } from './probe-fallback.js';
import type { ToolOptions } from './tools/tool-process.js';

export type { VideoFrame } from './decode-frames.js';

/** The frames of a clip for the model, and warnings about them. */
export interface VideoSample {
  /** Average rate of the clip. */
  readonly fps: Rational;
  /** Numbers of the chosen pictures, from 0, in the order of showing. */
  readonly indices: number[];
  /** The rule that chose the frames. */
  readonly frameRule: FrameRule;
  /** Warnings about these frames. Complete after `frames` has been read. */
  readonly warnings: string[];
  /** Size of a returned frame, upright. */
  readonly width: number;
  /** Height of a delivered frame in pixels, upright. */
  readonly height: number;
  /** Can be read once. Decoding starts at the first read and ends with the last frame or when the reader stops. */
  readonly frames: AsyncIterable<VideoFrame>;
}

/** Options of choosing frames of a clip, and limits. */
export interface SampleVideoOptions {
  /**
   * Pictures per second. 1, as in the paper.
   * @default 1
   */
  readonly fps?: number | undefined;
  /**
   * Maximum number of frames. Of K frames, the entries floor(i·K/maxFrames) are taken.
   * @default no limit; 8 with the rule `eight`
   */
  readonly maxFrames?: number | undefined;
  /**
   * `published`: int(fps · i) even if the rate of the clip varies. `eight`: `maxFrames` pictures of all, from the first
   * to the last. Default: `auto`.
   */
  readonly frameRule?: WantedFrameRule | undefined;
  /**
   * Limits of decoding.
   * @default DEFAULT_LIMITS
   */
  readonly limits?: Partial<MediaLimits> | undefined;
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
}

/** A frame of 8192 × 8192 is 200 MB. A small file can declare a far larger one. */
const MOST_FRAME_PIXELS = 8192 * 8192;

/**
 * Returns the frames of a clip, one per second: int(fps·i), as in the reference. If the rate of the clip varies, it
 * returns the picture that is shown at second i. The result is also correct where the reference's reader fails
 * (B-frames, open GOPs, edit lists, size changes). A clip under a second gives its first frame. A lost picture leaves
 * its place empty. `frames` then yields fewer frames than `indices`, and `warnings` lists the missing ones.
 *
 * @throws QalignError MEDIA_* and FFMPEG_*; damage that is only found while decoding is thrown by `frames`
 * @example
 * ```ts
 * const { frames, warnings } = await sampleVideo('clip.mp4', { maxFrames: 10 });
 * for await (const { width, height } of frames) console.log(width, height);
 * console.log(warnings);
 * ```
 */
export async function sampleVideo(input: MediaInput, options: SampleVideoOptions = {}): Promise<VideoSample> {
  requireSensible(options);
  const limits = withDefaults(options.limits);
  const { ffmpeg, ffprobe } = requireFfmpeg();
  const file = await openClip(input, limits);
  try {
    const { timeoutMs, maxFramePixels, maxToolMemory: maxMemory } = limits;
    const tool: ToolOptions = { timeoutMs, signal: options.signal, fd: file.fd, maxMemory, maxFramePixels };
    const probe = await (ffprobe === undefined
      ? probeWithoutFfprobe(ffmpeg, file, tool)
      : probeVideo(ffprobe, file, tool));
    checkSize(probe, limits);
    const choice = chooseFrames(probe.times, options);
    requireFew(choice.count, options.maxFrames, limits);
    const wanted = choice.wanted();
    const warnings = [
      ...probe.warnings,
      ...choiceWarnings(choice, wanted, probe),
      ...(await gaps(file, probe, options)),
    ];
    const turned = probe.turn?.startsWith('transpose') === true;
    const size = turned ? { width: probe.height, height: probe.width } : { width: probe.width, height: probe.height };
    const frames = decodeFrames({
      ffmpeg,
      ...decodeArguments(file, probe),
      size,
      wanted,
      keys: choice.keys,
      firstKey: probe.firstKey,
      startsLate: probe.startsLate,
      warnings,
      tool,
    });
    return {
      fps: probe.times.rate,
      indices: wanted.map(({ index }) => index),
      frameRule: choice.rule,
      warnings,
      ...size,
      frames: readOnce(frames, file),
    };
  } catch (error) {
    const encrypted = await isEncrypted(error, file);
    await file.close();
    throw encrypted ? encryptedClip() : error;
  }
}

/** Returns true if apparent damage is encryption, which ffmpeg does not always detect. */
async function isEncrypted(error: unknown, file: ClipFile): Promise<boolean> {
  if (!(error instanceof QalignError) || !['MEDIA_CORRUPT', 'MEDIA_UNSUPPORTED'].includes(error.code)) return false;
  return file.isEncrypted().catch(() => false);
}

function choiceWarnings(choice: FrameChoice, wanted: readonly WantedFrame[], { times }: Probe): string[] {
  const warnings: string[] = [];
  // if only time stamps chose the frames, the rate does not matter
  if (choice.rule !== 'time' && !times.rateIsNamed)
    warnings.push(
      `the clip has no frame rate; ${(times.rate.numerator / times.rate.denominator).toFixed(3)} was computed from its time stamps`,
    );
  if (choice.short) warnings.push('the clip is shorter than one sampling interval; its first frame was used');
  const repeats = wanted.some(({ index }, i) => index === wanted[i - 1]?.index);
  if (choice.rule === 'eight' && repeats)
    warnings.push(`the clip has fewer than ${wanted.length} pictures; some are repeated, as the rule demands`);
  else if (choice.rule !== 'time' && repeats)
    warnings.push('the clip has fewer pictures per second than requested; some are repeated, as in the reference');
  if (choice.rule === 'time' && choice.keys === 'n')
    warnings.push('the clip has no display times of its pictures; their decoding times were used');
  const hidden = wanted.filter(({ key }) => key === undefined).length;
  if (hidden > 0)
    warnings.push(
      `only ${wanted.length - hidden} of ${wanted.length} frames are shown; the edit list of the clip hides some of its ${times.packets} pictures`,
    );
  return warnings;
}

async function gaps(file: ClipFile, { pid }: Probe, { signal }: SampleVideoOptions): Promise<string[]> {
  const places = pid === undefined ? 0 : await file.lostPackets(pid, signal);
  if (places === 0) return [];
  return [
    `the transport stream is broken or lacks packets in ${places} place${places === 1 ? '' : 's'}; pictures up to the next key picture can be missing or damaged`,
  ];
}

function requireSensible({ fps, maxFrames }: SampleVideoOptions): void {
  if (fps !== undefined && !(fps > 0 && Number.isFinite(fps)))
    throw new QalignError('USAGE', `fps must be a positive number of pictures per second, not ${fps}.`);
  if (maxFrames !== undefined && !(Number.isSafeInteger(maxFrames) && maxFrames > 0))
    throw new QalignError('USAGE', `maxFrames must be a whole number of at least 1, not ${maxFrames}.`);
}

function requireFew(count: number, maxFrames: number | undefined, limits: MediaLimits): void {
  const frames = Math.min(count, maxFrames ?? count);
  if (frames > limits.maxFrames)
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `The clip gives ${frames} frames, over the limit of ${limits.maxFrames}; limit them with --max-frames.`,
    );
}

function checkSize({ width, height }: Probe, limits: MediaLimits): void {
  const most = Math.min(limits.maxPixels, limits.maxFramePixels ?? MOST_FRAME_PIXELS);
  if (width * height > most)
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `A frame of the clip is ${width} × ${height} pixels, over the limit of ${most}; make the clip smaller.`,
    );
}

function decodeArguments(file: ClipFile, probe: Probe): { input: string[]; filters: string } {
  const turn = probe.turn === undefined ? '' : `,${probe.turn},scale=iw:ih:flags=bilinear`;
  return {
    input: [...(probe.autorotate === true ? [] : ['-noautorotate']), ...inputOf(file), '-map', `0:${probe.stream}`],
    filters: `scale=${probe.width}:${probe.height}:flags=bilinear${turn},format=rgb24`,
  };
}

/** Closes the file after the last frame, after an error, or when the reader stops, even before its first read. */
function readOnce(frames: AsyncGenerator<VideoFrame, void, undefined>, file: ClipFile): AsyncIterable<VideoFrame> {
  const next = async (): Promise<IteratorResult<VideoFrame, void>> => {
    try {
      const step = await frames.next();
      if (step.done === true) await file.close();
      return step;
    } catch (error) {
      const encrypted = await isEncrypted(error, file);
      await file.close();
      throw encrypted ? encryptedClip() : error;
    }
  };
  const leave = async (): Promise<IteratorResult<VideoFrame, void>> => {
    await frames.return();
    await file.close();
    return { done: true, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: leave }) };
}

import { QalignError } from '../../base/errors.js';
import { GUARDS } from './tools/ffmpeg.js';
import { createDecodeReport, type Asked } from './decode-report.js';
import { selectFilter } from './select-expression.js';
import { decoderLimits, requireWithinLimits } from './tools/tool-limits.js';
import { startTool, stopAfter, type StartOptions, type ToolOptions } from './tools/tool-process.js';

/** One decoded frame: RGB, uint8 [height, width, 3]. */
export interface VideoFrame {
  /** Index of the picture in display order. */
  readonly index: number;
  /** Display time in seconds after the first picture of the clip. */
  readonly timeS: number;
  /** Width in pixels. */
  readonly width: number;
  /** Height in pixels. */
  readonly height: number;
  /** uint8 RGB, row by row. */
  readonly data: Uint8Array;
}

export interface DecodeJob extends Asked {
  readonly ffmpeg: string;
  /** Arguments that select the clip and its stream. */
  readonly input: readonly string[];
  /** Filters after the selection of pictures. */
  readonly filters: string;
  readonly size: { readonly width: number; readonly height: number };
  readonly tool: ToolOptions;
}

/**
 * Yields the wanted frames one at a time and reads the next frame after the previous one was taken. Each frame is
 * identified by its own time stamp. A lost picture therefore leaves its place empty and does not shift the others.
 *
 * @throws QalignError MEDIA_CORRUPT if more than half of the wanted pictures are lost or concealed, and the errors of
 * runTool
 */
export async function* decodeFrames(job: DecodeJob): AsyncGenerator<VideoFrame, void, undefined> {
  const warnings: string[] = [];
  if (yield* decodeWith({ ...job, warnings }, DIALECTS, decoderLimits(job.tool))) {
    // with several threads, ffmpeg returns pictures before it reports all of their damage
    warnings.length = 0;
    const again = decodeWith({ ...job, warnings }, DIALECTS, ['-threads', '1']);
    while ((await again.next()).done !== true);
  }
  job.warnings.push(...warnings);
}

/** Option names of ffmpeg versions: 5.1 to 7, before 5.1, from 8. */
interface Dialect {
  readonly passthrough: readonly [string, string];
  readonly script: string;
}
const DIALECTS: readonly Dialect[] = [
  { passthrough: ['-fps_mode', 'passthrough'], script: '-filter_script:v' },
  { passthrough: ['-vsync', '0'], script: '-filter_script:v' },
  { passthrough: ['-fps_mode', 'passthrough'], script: '-/filter:v' },
];
const UNKNOWN_OPTION = /Unrecognized option '(?:fps_mode|vsync|filter_script)/;
/** Linux limits one argument to 128 KiB. A longer filter is read from a descriptor. */
const LONGEST_ARGUMENT = 100_000;

/** Returns true if the decoder reported damage. */
async function* decodeWith(
  job: DecodeJob,
  [dialect, ...others]: readonly Dialect[],
  decoder: readonly string[],
): AsyncGenerator<VideoFrame, boolean, undefined> {
  if (dialect === undefined)
    throw new QalignError(
      'FFMPEG_NOT_FOUND',
      `${job.ffmpeg} does not support the options that qalign needs; install a newer ffmpeg.`,
    );
  const { width, height } = job.size;
  const report = createDecodeReport(job);
  const { args, script } = argumentsOf(job, dialect, decoder, report.letThrough);
  const onLine = (line: string): void => {
    stop.touch();
    report.line(line);
  };
  const tool = startTool(job.ffmpeg, args, { ...job.tool, onLine, onLinesEnd: report.end, script });
  const stop = stopAfter(tool, job.tool);
  const bytes = width * height * 3;
  try {
    let data = new Uint8Array(bytes);
    let filled = 0;
    for await (const chunk of tool.stdout as AsyncIterable<Buffer>) {
      stop.touch();
      for (let at = 0; at < chunk.length;) {
        const taken = Math.min(bytes - filled, chunk.length - at);
        data.set(chunk.subarray(at, at + taken), filled);
        filled += taken;
        at += taken;
        if (filled < bytes) continue;
        const found = await report.deliver();
        stop.hold();
        for (const { index, timeS } of found) yield { index, timeS, width, height, data };
        stop.resume();
        if (report.complete()) {
          report.finish(0);
          return report.isDamaged();
        }
        data = new Uint8Array(bytes);
        filled = 0;
      }
    }
    const { code, stderr } = await tool.ended;
    stop.check();
    requireWithinLimits(stderr, job.tool);
    if (report.empty() && UNKNOWN_OPTION.test(stderr)) return yield* decodeWith(job, others, decoder);
    report.finish(code);
    return report.isDamaged();
  } catch (error) {
    stop.check(); // a killed process closes its pipe early: throw the reason of the kill
    requireWithinLimits(tool.said(), job.tool); // the limits can be the cause of the failure
    throw error;
  } finally {
    stop.release();
    tool.kill();
  }
}

function argumentsOf(
  job: DecodeJob,
  { passthrough, script }: Dialect,
  decoder: readonly string[],
  keys: readonly number[],
): { args: string[]; script: StartOptions['script'] } {
  const filter = `${selectFilter(job.keys, keys)},${job.filters}`;
  const long = filter.length > LONGEST_ARGUMENT;
  return {
    args: [
      ...['-nostdin', '-nostats', '-v', 'repeat+level+warning', ...GUARDS, '-copyts', '-reinit_filter', '0'],
      ...decoder,
      ...job.input,
      ...['-an', '-sn', '-dn', ...(long ? [script, 'pipe:4'] : ['-vf', filter]), '-sws_flags', 'bilinear'],
      ...[...passthrough, '-f', 'rawvideo', 'pipe:1'],
    ],
    script: long ? filter : undefined,
  };
}

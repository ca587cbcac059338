import { QalignError } from '../../base/errors.js';
import { GUARDS } from './tools/ffmpeg.js';
import { createDecodeReport, type Asked } from './decode-report.js';
import { selectFilter } from './select-expression.js';
import { decoderLimits, requireWithinLimits } from './tools/tool-limits.js';
import { startTool, stopAfter, type StartOptions, type ToolOptions } from './tools/tool-process.js';

/** One decoded frame: RGB, uint8 [height, width, 3]. */
export interface VideoFrame {
  /** Number of the picture in the clip, in the order of showing. */
  readonly index: number;
  /** Width in pixels. */
  readonly width: number;
  /** Height in pixels. */
  readonly height: number;
  /** uint8 RGB, row by row. */
  readonly data: Uint8Array;
}

export interface DecodeJob extends Asked {
  readonly ffmpeg: string;
  /** The arguments that name the clip and its stream. */
  readonly input: readonly string[];
  /** Filters after the choice of pictures. */
  readonly filters: string;
  readonly size: { readonly width: number; readonly height: number };
  readonly tool: ToolOptions;
}

/**
 * The wanted frames, one at a time: the next is read when this one was taken. Each is told by its own stamp, so lost
 * pictures shift nothing: the place of a lost one stays empty.
 *
 * @throws QalignError MEDIA_CORRUPT when more than half of the wanted pictures are lost or concealed, and those of
 * runTool
 */
export async function* decodeFrames(job: DecodeJob): AsyncGenerator<VideoFrame, void, undefined> {
  const warnings: string[] = [];
  if (yield* decodeWith({ ...job, warnings }, DIALECTS, decoderLimits(job.tool))) {
    // pictures that threads decode side by side are handed on before all of their damage is known
    warnings.length = 0;
    const again = decodeWith({ ...job, warnings }, DIALECTS, ['-threads', '1']);
    while ((await again.next()).done !== true);
  }
  job.warnings.push(...warnings);
}

/** How versions of ffmpeg name what is needed: 5.1 to 7, before 5.1, from 8. */
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
/** Linux takes 128 KiB in one argument; a longer filter is read from a descriptor. */
const LONGEST_ARGUMENT = 100_000;

/** Tells whether the decoder complained. */
async function* decodeWith(
  job: DecodeJob,
  [dialect, ...others]: readonly Dialect[],
  decoder: readonly string[],
): AsyncGenerator<VideoFrame, boolean, undefined> {
  if (dialect === undefined)
    throw new QalignError('FFMPEG_NOT_FOUND', `${job.ffmpeg} does not know the options that qalign needs; update it.`);
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
        const indices = await report.deliver();
        stop.hold();
        for (const index of indices) yield { index, width, height, data };
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
    stop.check(); // a killed process closes its pipe in the middle: say why it was killed
    requireWithinLimits(tool.said(), job.tool); // it may have died of them
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

import { QalignError } from '../../base/errors.js';
import { GUARDS, runTool, type ToolOptions } from './ffmpeg.js';
import { parseRate, type Rational } from './frame-indices.js';

/** What a clip's video stream is. Sizes in pixels, as stored: before any turn. */
export interface Probe {
  readonly stream: number;
  readonly width: number;
  readonly height: number;
  /** Average rate in pictures a second. */
  readonly rate: Rational;
  readonly packets: number;
  /** The ffmpeg filter that turns a picture upright, if it needs one. */
  readonly turn: string | undefined;
  /** True where the turn is not known and ffmpeg must do it by itself; the sizes are then those after it. */
  readonly autorotate?: boolean;
  readonly warnings: string[];
}

export interface ProbedStream {
  index: number;
  codec_type?: string;
  width?: number;
  height?: number;
  avg_frame_rate?: string;
  bit_rate?: string;
  time_base?: string;
  nb_frames?: string;
  nb_read_packets?: string;
  disposition?: { attached_pic?: number };
  side_data_list?: { displaymatrix?: string }[];
}

const ENTRIES =
  'format=format_name:stream=index,codec_type,width,height,avg_frame_rate,bit_rate,time_base,nb_frames,nb_read_packets:stream_disposition=attached_pic:stream_side_data=rotation,displaymatrix';

/**
 * @throws QalignError MEDIA_CORRUPT (not a clip that ffmpeg opens), MEDIA_UNSUPPORTED (no video stream), and those of
 * runTool
 */
export async function probeVideo(ffprobe: string, path: string, options: ToolOptions): Promise<Probe> {
  const { code, stdout, stderr } = await runTool(
    ffprobe,
    [...GUARDS, '-count_packets', '-show_entries', ENTRIES, '-of', 'json', `file:${path}`],
    options,
  );
  if (code !== 0) throw new QalignError('MEDIA_CORRUPT', `The clip cannot be opened: ${firstLine(stderr)}.`);
  const { streams = [], format } = JSON.parse(stdout) as {
    streams?: ProbedStream[];
    format?: { format_name?: string };
  };
  const stream = chooseStream(streams);
  if (stream === undefined)
    throw new QalignError('MEDIA_UNSUPPORTED', 'The file holds no video stream with pictures in it.');
  const warnings: string[] = [];
  const packets = Number(stream.nb_read_packets ?? 0);
  const rate = parseRate(stream.avg_frame_rate) ?? (await rateFromTimes(ffprobe, path, stream, packets, options));
  if (parseRate(stream.avg_frame_rate) === undefined)
    warnings.push(
      `the clip names no frame rate; ${(rate.numerator / rate.denominator).toFixed(3)} was taken from its time stamps`,
    );
  // only MP4 and its kin list every picture; an AVI counts those that its recorder dropped
  const named = format?.format_name?.startsWith('mov') === true ? Number(stream.nb_frames ?? 0) : 0;
  if (named > packets) warnings.push(`the file names ${named} pictures but holds ${packets}; it may be cut off`);
  return {
    stream: stream.index,
    width: stream.width ?? 0,
    height: stream.height ?? 0,
    rate,
    packets,
    turn: turnOf(stream, warnings),
    warnings,
  };
}

const count = (stream: ProbedStream): number => Number(stream.nb_read_packets ?? 0);
const bits = (stream: ProbedStream): number => Number(stream.bit_rate ?? 0) || 0;

/**
 * No attached pictures; then the most packets (counted up to 5), bit rate, packets, the lowest index: as the
 * reference's reader.
 */
export function chooseStream<S extends ProbedStream>(streams: readonly S[]): S | undefined {
  return streams
    .filter(
      (stream) =>
        stream.codec_type === 'video' &&
        stream.disposition?.attached_pic !== 1 &&
        count(stream) > 0 &&
        (stream.width ?? 0) > 0 &&
        (stream.height ?? 0) > 0,
    )
    .sort(
      (a, b) =>
        Math.min(count(b), 5) - Math.min(count(a), 5) || bits(b) - bits(a) || count(b) - count(a) || a.index - b.index,
    )[0];
}

/** (packets − 1) / (last − first time stamp). A single packet counts as one picture a second. */
async function rateFromTimes(
  ffprobe: string,
  path: string,
  stream: ProbedStream,
  packets: number,
  options: ToolOptions,
): Promise<Rational> {
  const { stdout } = await runTool(
    ffprobe,
    [
      ...GUARDS,
      '-select_streams',
      String(stream.index),
      '-show_entries',
      'packet=pts',
      '-of',
      'csv=p=0',
      `file:${path}`,
    ],
    options,
  );
  let first = Infinity;
  let last = -Infinity;
  for (const line of stdout.split('\n')) {
    const pts = Number.parseInt(line, 10);
    if (Number.isNaN(pts)) continue;
    first = Math.min(first, pts);
    last = Math.max(last, pts);
  }
  const base = parseRate(stream.time_base);
  if (base === undefined || !(last > first)) return { numerator: 1, denominator: 1 };
  return { numerator: (packets - 1) * base.denominator, denominator: (last - first) * base.numerator };
}

/** Display matrix (a b . c d) → filter; see test/fixtures/golden/frames. */
const TURNS: Readonly<Record<string, string | undefined>> = {
  '1 0 0 1': undefined,
  '-1 0 0 -1': 'hflip,vflip',
  '0 1 -1 0': 'transpose=clock',
  '0 -1 1 0': 'transpose=cclock',
  '-1 0 0 1': 'hflip',
  '1 0 0 -1': 'vflip',
  '0 1 1 0': 'transpose=cclock_flip',
  '0 -1 -1 0': 'transpose=clock_flip',
};

function turnOf(stream: ProbedStream, warnings: string[]): string | undefined {
  const text = stream.side_data_list?.find((side) => side.displaymatrix !== undefined)?.displaymatrix;
  if (text === undefined) return undefined;
  const rows = text
    .trim()
    .split('\n')
    .map((line) =>
      line
        .replace(/^\s*\w+:/, '')
        .trim()
        .split(/\s+/)
        .map(Number),
    );
  const key = [rows[0]?.[0], rows[0]?.[1], rows[1]?.[0], rows[1]?.[1]]
    .map((entry) => Math.sign(entry ?? 0) + 0)
    .join(' ');
  if (!Object.hasOwn(TURNS, key))
    warnings.push('the clip is to be shown at an angle that is not a multiple of 90°; it was left as stored');
  return TURNS[key];
}

export function firstLine(stderr: string): string {
  return (
    stderr
      .split('\n')
      .find((line) => line.trim() !== '')
      ?.replace(/ @ 0x[0-9a-f]+/g, '')
      .replace(/\.$/, '')
      .slice(0, 200) ?? 'ffmpeg gave no reason'
  );
}

import { QalignError } from '../../base/errors.js';
import { GUARDS, runTool, type ToolOptions } from './ffmpeg.js';
import type { Rational } from './frame-indices.js';
import { chooseStream, firstLine, type Probe, type ProbedStream } from './probe.js';

interface Listed extends ProbedStream {
  readonly line: string;
  readonly times: number[];
  base?: Rational;
  turned?: boolean;
}

/** What a file says about its streams in words; titles and comments can be long. */
const WORDS_KEPT = 500_000; // characters

/**
 * The probe where there is no ffprobe: ffmpeg copies every packet to a list of time stamps and sizes, and the average
 * rate is read from the header of a Matroska copy of one packet, as the stream's line rounds it.
 *
 * @throws as probeVideo
 */
export async function probeWithoutFfprobe(ffmpeg: string, path: string, options: ToolOptions): Promise<Probe> {
  const input = ['-nostdin', '-hide_banner', '-nostats', ...GUARDS, '-v', 'info', '-i', `file:${path}`];
  const list = await runTool(ffmpeg, [...input, '-map', '0:V', '-c', 'copy', '-copyinkf', '-f', 'framecrc', 'pipe:1'], {
    ...options,
    keep: WORDS_KEPT,
  });
  const opened = list.stderr.includes('\nInput #0,') || list.stderr.startsWith('Input #0,');
  if (!opened) throw new QalignError('MEDIA_CORRUPT', `The clip cannot be opened: ${firstLine(list.stderr)}.`);
  const streams = readStreams(list.stderr.split('\nOutput #0')[0] ?? '');
  readPackets(list.stdout, streams);
  const stream = chooseStream(streams);
  if (stream === undefined)
    throw new QalignError('MEDIA_UNSUPPORTED', 'The file holds no video stream with pictures in it.');
  const packets = Number(stream.nb_read_packets);
  const warnings = ['ffprobe was not found: what it tells of a clip was pieced together with ffmpeg'];
  const said = /, ([\d.]+)(k?) fps/.exec(stream.line);
  const rate = said === null ? rateFromTimes(stream, packets) : await exactRate(ffmpeg, input, stream.index, options);
  if (said === null)
    warnings.push(
      `the clip names no frame rate; ${(rate.numerator / rate.denominator).toFixed(3)} was taken from its time stamps`,
    );
  const stored = { width: stream.width ?? 0, height: stream.height ?? 0 };
  const size = stream.turned === true ? await shownSize(ffmpeg, input, stream.index, stored, options) : stored;
  return {
    stream: stream.index,
    ...size,
    rate,
    packets,
    turn: undefined,
    autorotate: stream.turned === true,
    warnings,
  };
}

/**
 * The video streams that are no cover pictures, in the order of `-map 0:V`. Two spaces before `Stream`: titles cannot
 * forge one.
 */
function readStreams(words: string): Listed[] {
  const streams: Listed[] = [];
  let current: Listed | undefined;
  for (const line of words.split('\n')) {
    const head = /^ {2}Stream #0:(\d+)/.exec(line);
    if (head !== null) {
      current = undefined;
      if (!line.includes(': Video: ') || line.includes('(attached pic)')) continue;
      const size = /, (\d+)x(\d+)/.exec(line);
      const bitRate = / (\d+) kb\/s/.exec(line);
      current = {
        index: Number(head[1]),
        codec_type: 'video',
        width: Number(size?.[1] ?? 0),
        height: Number(size?.[2] ?? 0),
        bit_rate: `${Number(bitRate?.[1] ?? 0) * 1000}`,
        line,
        times: [],
      };
      streams.push(current);
    } else if (current !== undefined && /^ {6}displaymatrix: /.test(line)) current.turned = true;
  }
  return streams;
}

/** `stream, dts, pts, duration, size, checksum` a line; a packet of no bytes is none. */
function readPackets(table: string, streams: readonly Listed[]): void {
  for (const line of table.split('\n')) {
    const base = /^#tb (\d+): (\d+)\/(\d+)/.exec(line);
    const stream = streams[Number(base?.[1] ?? Number.parseInt(line, 10))];
    if (stream === undefined) continue;
    if (base !== null) stream.base = { numerator: Number(base[2]), denominator: Number(base[3]) };
    const columns = line.split(',').map(Number);
    if (base === null && (columns[4] ?? 0) > 0) stream.times.push(columns[2] ?? 0);
  }
  for (const stream of streams) stream.nb_read_packets = String(stream.times.length);
}

function rateFromTimes({ times, base }: Listed, packets: number): Rational {
  const span =
    times.reduce((top, time) => Math.max(top, time), -Infinity) -
    times.reduce((low, time) => Math.min(low, time), Infinity);
  if (base === undefined || !(span > 0)) return { numerator: 1, denominator: 1 };
  return { numerator: (packets - 1) * base.denominator, denominator: span * base.numerator };
}

async function exactRate(
  ffmpeg: string,
  input: readonly string[],
  stream: number,
  options: ToolOptions,
): Promise<Rational> {
  const { stdout } = await runTool(
    ffmpeg,
    [...input, '-map', `0:${stream}`, '-c', 'copy', '-copyinkf', '-frames:v', '1', '-f', 'matroska', 'pipe:1'],
    options,
  );
  const nanoseconds = defaultDuration(stdout);
  if (nanoseconds === undefined)
    throw new QalignError(
      'MEDIA_UNSUPPORTED',
      'The rate of the clip cannot be found without ffprobe; install ffprobe or set FFPROBE_BIN.',
    );
  return rateOfDuration(nanoseconds);
}

/**
 * The value of the EBML element 23 E3 83, DefaultDuration, in nanoseconds. @param matroska the file, one character a
 * byte
 */
function defaultDuration(matroska: string): number | undefined {
  const at = matroska.indexOf('\x23\xe3\x83');
  const length = at < 0 ? 0 : matroska.charCodeAt(at + 3) & 0x7f;
  if (length < 1 || length > 8) return undefined;
  return [...matroska.slice(at + 4, at + 4 + length)].reduce((value, byte) => value * 256 + byte.charCodeAt(0), 0);
}

/**
 * The rate whose duration, cut off to nanoseconds, is this: a whole number, 1000/1001 of one, or else the simplest
 * fraction.
 */
export function rateOfDuration(nanoseconds: number): Rational {
  const gives = ({ numerator: a, denominator: b }: Rational): boolean =>
    a > 0 && Math.floor((1e9 * b) / a) === nanoseconds;
  const whole = { numerator: Math.round(1e9 / nanoseconds), denominator: 1 };
  const ntsc = { numerator: Math.round(1.001e9 / nanoseconds) * 1000, denominator: 1001 };
  const found = [whole, ntsc].find(gives);
  if (found !== undefined) return found;
  for (let denominator = 2; denominator < 100_000; denominator++) {
    const rate = { numerator: Math.round((1e9 * denominator) / nanoseconds), denominator };
    if (gives(rate)) return rate;
  }
  return { numerator: 1e9, denominator: nanoseconds };
}

/** The words give the angle but no mirroring: the size after ffmpeg's own turn is read off its first picture. */
async function shownSize(
  ffmpeg: string,
  input: readonly string[],
  stream: number,
  stored: { width: number; height: number },
  options: ToolOptions,
): Promise<{ width: number; height: number }> {
  const { stdout } = await runTool(
    ffmpeg,
    [...input, '-map', `0:${stream}`, '-frames:v', '1', '-f', 'framecrc', 'pipe:1'],
    options,
  );
  const size = /#dimensions 0: (\d+)x(\d+)/.exec(stdout);
  return size === null ? stored : { width: Number(size[1]), height: Number(size[2]) };
}

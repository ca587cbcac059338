import { QalignError } from '../../base/errors.js';
import type { ClipFile } from './clip-file.js';
import { encryptedClip } from './encryption.js';
import { GUARDS } from './tools/ffmpeg.js';
import type { Rational } from './frame-indices.js';
import { createPacketTimes, type PacketTimes } from './packet-times.js';
import { BROADCAST, chooseStream, describeTimes, inputOf, unopened, type Probe, type ProbedStream } from './probe.js';
import { runTool, runToolLines, type ToolOptions } from './tools/tool-process.js';

/** A stream as described in the text output of ffmpeg. */
interface Described extends Omit<ProbedStream, 'packets'> {
  readonly line: string;
  turned?: boolean;
}

/** The value that ffmpeg prints, as a double, for a missing time stamp: −2⁶³. */
const NO_STAMP = -(2 ** 63);

/** Maximum length of the stream description, because titles and comments can be long. */
const WORDS_KEPT = 500_000; // characters

/**
 * Probes a clip without ffprobe. ffmpeg lists the time stamps and sizes of all packets. The average rate is read from
 * the header of a Matroska copy of one packet, because the description of the stream rounds it.
 *
 * @throws as probeVideo
 */
export async function probeWithoutFfprobe(ffmpeg: string, file: ClipFile, options: ToolOptions): Promise<Probe> {
  if (await file.isEncrypted()) throw encryptedClip();
  const input = ['-nostdin', '-hide_banner', '-nostats', '-v', 'info', ...GUARDS, '-copyts', ...inputOf(file)];
  const list = createPacketTable();
  const { stderr } = await runToolLines(
    ffmpeg,
    [...input, '-map', '0:V', '-c', 'copy', '-copyinkf', '-f', 'framecrc', 'pipe:1'],
    { ...options, keep: WORDS_KEPT },
    list.line,
  );
  const opened = stderr.includes('\nInput #0,') || stderr.startsWith('Input #0,');
  if (!opened) throw unopened(stderr);
  const words = stderr.split('\nOutput #0')[0] ?? '';
  const formats = (/^Input #0, (.*), from /m.exec(words)?.[1] ?? '').split(',');
  const stream = chooseStream(
    readStreams(words).map((described, place) => {
      const { tick, times } = list.finish(place, {
        hidesPackets: described.line.includes(': Video: vp8'),
        broadcast: formats.some((name) => BROADCAST.has(name)),
      });
      return { ...described, packets: times.packets, tick, times };
    }),
  );
  if (stream === undefined)
    throw new QalignError('MEDIA_UNSUPPORTED', 'The file has no video stream with pictures; give a picture or a clip.');
  const warnings = ['ffprobe was not found, so the properties of the clip were read with ffmpeg'];
  const named = / ([\d.]+)(k?) fps/.test(stream.line)
    ? await exactRate(ffmpeg, input, stream.index, options)
    : undefined;
  const size = stream.turned === true ? await shownSize(ffmpeg, input, stream, options) : stream;
  return {
    ...describeTimes(stream.times, { tick: stream.tick, named, formats }, warnings),
    stream: stream.index,
    pid: Number(/^ {2}Stream #0:\d+\[(0x[0-9a-f]+)\]/.exec(stream.line)?.[1]) || undefined,
    width: size.width,
    height: size.height,
    turn: undefined,
    autorotate: stream.turned === true,
    warnings,
  };
}

/**
 * Reads the video streams except cover pictures, in the order of `-map 0:V`. A line must have two spaces before
 * `Stream`, so that a title cannot imitate it.
 */
function readStreams(words: string): Described[] {
  const streams: Described[] = [];
  let current: Described | undefined;
  for (const line of words.split('\n')) {
    const head = /^ {2}Stream #0:(\d+)/.exec(line);
    if (head !== null) {
      current = undefined;
      if (!line.includes(': Video: ') || line.includes('(attached pic)')) continue;
      const size = /, (\d+)x(\d+)/.exec(line);
      const bitRate = / (\d+) kb\/s/.exec(line);
      current = {
        index: Number(head[1]),
        width: Number(size?.[1] ?? 0),
        height: Number(size?.[2] ?? 0),
        bitRate: Number(bitRate?.[1] ?? 0) * 1000,
        line,
      };
      streams.push(current);
    } else if (current !== undefined && /^ {6}displaymatrix: /.test(line)) current.turned = true;
  }
  return streams;
}

/**
 * Reads the list of framecrc. A line has `stream, dts, pts, duration, size, checksum`. `F=` gives the flags if they are
 * not those of a key packet. Packets of zero bytes are ignored.
 */
function createPacketTable(): {
  readonly line: (line: string) => void;
  readonly finish: (
    place: number,
    stream: { readonly hidesPackets: boolean; readonly broadcast: boolean },
  ) => { tick: Rational; times: PacketTimes };
} {
  const ticks = new Map<number, Rational>();
  const streams = new Map<number, ReturnType<typeof createPacketTimes>>();
  const number = (text: string | undefined): number | undefined => {
    const value = Number.parseInt(text ?? '', 10);
    return value > NO_STAMP ? value : undefined;
  };
  return {
    line(line) {
      const base = /^#tb (\d+): (\d+)\/(\d+)/.exec(line);
      if (base !== null) ticks.set(Number(base[1]), { numerator: Number(base[2]), denominator: Number(base[3]) });
      if (line.startsWith('#')) return;
      const [stream, dts, pts, duration, bytes] = line.split(',', 5).map(number);
      if (stream === undefined || !((bytes ?? 0) > 0)) return;
      const flags = Number.parseInt(/, F=0x([0-9a-f]+)/i.exec(line)?.[1] ?? '1', 16);
      let times = streams.get(stream);
      if (times === undefined) streams.set(stream, (times = createPacketTimes()));
      const tick = ticks.get(stream);
      const decoded = dts === undefined || tick === undefined ? undefined : (dts * tick.numerator) / tick.denominator;
      times.add({ decoded, pts, duration, key: (flags & 1) !== 0, discard: (flags & 4) !== 0, encrypted: false });
    },
    finish(place, stream) {
      const tick = ticks.get(place) ?? { numerator: 1, denominator: 1 };
      return { tick, times: (streams.get(place) ?? createPacketTimes()).finish({ tick, ...stream }) };
    },
  };
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
      'The rate of the clip cannot be determined without ffprobe; install ffprobe or set FFPROBE_BIN.',
    );
  return rateOfDuration(nanoseconds);
}

/**
 * Returns the value of the EBML element 23 E3 83, DefaultDuration, in nanoseconds. @param matroska the file, with one
 * character per byte
 */
function defaultDuration(matroska: string): number | undefined {
  const at = matroska.indexOf('\x23\xe3\x83');
  const length = at < 0 ? 0 : matroska.charCodeAt(at + 3) & 0x7f;
  if (length < 1 || length > 8) return undefined;
  return [...matroska.slice(at + 4, at + 4 + length)].reduce((value, byte) => value * 256 + byte.charCodeAt(0), 0);
}

/**
 * Returns the rate whose duration, truncated to nanoseconds, is `nanoseconds`. Tries a whole number, then a whole
 * number · 1000/1001, then the simplest fraction.
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

/** The description has the angle but no mirroring, so the size is read from the first picture that ffmpeg rotates. */
async function shownSize(
  ffmpeg: string,
  input: readonly string[],
  stored: Omit<ProbedStream, 'packets'>,
  options: ToolOptions,
): Promise<{ width: number; height: number }> {
  const { stdout } = await runTool(
    ffmpeg,
    [...input, '-map', `0:${stored.index}`, '-frames:v', '1', '-f', 'framecrc', 'pipe:1'],
    options,
  );
  const size = /#dimensions 0: (\d+)x(\d+)/.exec(stdout);
  return size === null ? stored : { width: Number(size[1]), height: Number(size[2]) };
}

import { QalignError } from '../../base/errors.js';
import type { ClipFile } from './clip-file.js';
import { encryptedClip } from './encryption.js';
import { GUARDS } from './tools/ffmpeg.js';
import type { ClipTimes } from './frame-choice.js';
import { parseRate, type Rational } from './frame-indices.js';
import { createPacketTimes, type Packet, type PacketTimes } from './packet-times.js';
import { inputLimits } from './tools/tool-limits.js';
import { runTool, runToolLines, type ToolOptions } from './tools/tool-process.js';

/** Properties of the video stream of a clip. Sizes are in pixels as stored, before rotation. */
export interface Probe {
  readonly stream: number;
  /** Number of the programme element in a transport stream. */
  readonly pid?: number | undefined;
  readonly width: number;
  readonly height: number;
  readonly times: ClipTimes;
  /** Time stamp of the first packet that can be decoded alone. */
  readonly firstKey: number | undefined;
  /** True if packets come before that packet. Decoder messages about them are not damage. */
  readonly startsLate: boolean;
  /** The ffmpeg filter that turns a picture upright. Undefined if none is needed. */
  readonly turn: string | undefined;
  /** True if the rotation is unknown and ffmpeg applies it. The sizes are then those after rotation. */
  readonly autorotate?: boolean;
  readonly warnings: string[];
}

export interface ProbedStream {
  readonly index: number;
  readonly width: number;
  readonly height: number;
  readonly bitRate: number;
  readonly packets: number;
}

const ENTRIES = [
  'packet=stream_index,pts,dts_time,duration,flags',
  'packet_side_data=side_data_type',
  'format=format_name',
  'stream=index,id,codec_name,width,height,avg_frame_rate,bit_rate,time_base,nb_frames',
  'stream_tags=enc_key_id',
  'stream_side_data=displaymatrix',
].join(':');

/** Formats of bare streams, whose time stamps ffmpeg generates. */
const BARE: ReadonlySet<string> = new Set(['h264', 'hevc', 'm4v', 'obu', 'mpegvideo']);
/** Formats in which ffmpeg expects time stamps to jump. */
export const BROADCAST: ReadonlySet<string> = new Set(['mpegts', 'mpeg']);

/** The input arguments for ffmpeg and ffprobe. */
export function inputOf(clip: ClipFile): string[] {
  const { path, demuxer } = clip;
  return [...(demuxer === undefined ? [] : ['-f', demuxer]), ...inputLimits(clip), '-i', `file:${path}`];
}

/**
 * Reads all packets with one run of ffprobe.
 *
 * @throws QalignError MEDIA_CORRUPT (ffmpeg cannot open the clip), MEDIA_UNSUPPORTED (no video stream),
 * MEDIA_ENCRYPTED, and the errors of runTool
 */
export async function probeVideo(ffprobe: string, file: ClipFile, options: ToolOptions): Promise<Probe> {
  const packets = new Map<number, ReturnType<typeof createPacketTimes>>();
  const streams: Fields[] = [];
  let format = '';
  const { code, stderr } = await runToolLines(
    ffprobe,
    ['-v', 'error', ...GUARDS, '-select_streams', 'V', '-show_entries', ENTRIES, '-of', 'compact', ...inputOf(file)],
    options,
    (line) => {
      const packet = readPacket(line);
      if (packet !== undefined) {
        let times = packets.get(packet.stream);
        if (times === undefined) packets.set(packet.stream, (times = createPacketTimes()));
        times.add(packet);
      } else if (line.startsWith('stream|')) streams.push(readFields(line));
      else if (line.startsWith('format|')) format = readFields(line).get('format_name') ?? '';
    },
  );
  if (code !== 0) throw unopened(stderr);
  const formats = format.split(',');
  const found = streams.map((fields) => {
    const index = Number(fields.get('index'));
    const tick = parseRate(fields.get('time_base')) ?? { numerator: 1, denominator: 1 };
    const times = (packets.get(index) ?? createPacketTimes()).finish({
      tick,
      hidesPackets: fields.get('codec_name') === 'vp8',
      broadcast: formats.some((name) => BROADCAST.has(name)),
    });
    return { ...streamOf(fields, times.packets), fields, tick, times };
  });
  const stream = chooseStream(found);
  if (found.some(({ fields }) => fields.has('tag:enc_key_id')) || stream?.times.encrypted === true)
    throw encryptedClip();
  if (stream === undefined)
    throw new QalignError('MEDIA_UNSUPPORTED', 'The file has no video stream with pictures; give a picture or a clip.');
  const warnings: string[] = [];
  const named = await namedRate(ffprobe, file, stream.fields.get('avg_frame_rate'), formats, options, warnings);
  // only MP4 and related formats list every picture; an AVI also counts pictures that its recorder dropped
  const listed = formats[0] === 'mov' ? Number(stream.fields.get('nb_frames')) || 0 : 0;
  if (listed > stream.packets)
    warnings.push(`the file lists ${listed} pictures but contains ${stream.packets}; it is possibly truncated`);
  return {
    ...describeTimes(stream.times, { tick: stream.tick, named, formats }, warnings),
    stream: stream.index,
    pid: Number(stream.fields.get('id')) || undefined,
    width: stream.width,
    height: stream.height,
    turn: turnOf(stream.fields.get('displaymatrix'), warnings),
    warnings,
  };
}

/** Returns the error for a file that ffmpeg could not open. */
export function unopened(stderr: string): QalignError {
  const foreign = /\[(\w+)[^\]]*\] Format not on whitelist/.exec(stderr)?.[1];
  if (foreign === undefined)
    return new QalignError(
      'MEDIA_CORRUPT',
      `The clip cannot be opened: ${firstLine(stderr)}. Repair the file or download it again.`,
    );
  return new QalignError(
    'MEDIA_UNSUPPORTED',
    `The file is of a format (${foreign}) that qalign does not read as a clip; convert it, for example to MP4.`,
  );
}

/**
 * Fractions of packets that can lack a time stamp, because damage affects single packets. In an AVI, one means
 * B-frames.
 */
const MOST_LACKING = 0.2;
const MOST_LACKING_AVI = 0;

/** Derives the timing of the clip from its packets, with and without ffprobe, and adds warnings about it. */
export function describeTimes(
  times: PacketTimes,
  {
    tick,
    named,
    formats,
  }: { readonly tick: Rational; readonly named: Rational | undefined; readonly formats: readonly string[] },
  warnings: string[],
): Pick<Probe, 'times' | 'firstKey' | 'startsLate'> {
  const { packets, stamps, lastDuration, firstKey, leading } = times;
  const rate = named ?? rateFromStamps(stamps, packets, tick);
  if (times.jumps)
    warnings.push('the time stamps of the clip jump, as in joined recordings; frames were chosen by counting pictures');
  const mostLacking = formats.includes('avi') ? MOST_LACKING_AVI : MOST_LACKING;
  const bare = formats.some((name) => BARE.has(name));
  const reliable = !bare && !times.jumps && stamps.length > 0 && times.lacking <= mostLacking;
  const countedAt = bare || times.jumps ? undefined : times.decodedAt; // bare streams have generated times
  return {
    times: { packets, rate, rateIsNamed: named !== undefined, tick, stamps, lastDuration, reliable, countedAt },
    firstKey,
    startsLate: leading > 0,
  };
}

/** (packets − 1) / (last − first time stamp). A single packet gives one picture per second. */
function rateFromStamps(stamps: Float64Array, packets: number, tick: Rational): Rational {
  const span = (stamps.at(-1) ?? 0) - (stamps[0] ?? 0);
  if (!(span > 0)) return { numerator: 1, denominator: 1 };
  return { numerator: (packets - 1) * tick.denominator, denominator: span * tick.numerator };
}

/**
 * Returns the average rate of ffprobe. For a bare stream without a rate, ffprobe reports its own setting, 25 by
 * default. The probe is therefore repeated with another setting. If the rate changes with it, the stream has no rate.
 */
async function namedRate(
  ffprobe: string,
  file: ClipFile,
  average: string | undefined,
  formats: readonly string[],
  options: ToolOptions,
  warnings: string[],
): Promise<Rational | undefined> {
  const rate = parseRate(average);
  if (rate === undefined || !formats.some((name) => BARE.has(name))) return rate;
  const { stdout } = await runTool(
    ffprobe,
    [
      ...['-v', 'error', ...GUARDS, '-framerate', '7', '-select_streams', 'V'],
      ...['-show_entries', 'stream=avg_frame_rate', '-of', 'csv=p=0', ...inputOf(file)],
    ],
    options,
  );
  if (parseRate(stdout.trim().split('\n')[0])?.numerator === 7 && rate.numerator !== 7)
    warnings.push(
      `the stream has no frame rate; ${rate.numerator / rate.denominator} pictures per second were assumed`,
    );
  return rate;
}

/** The `key=value` fields of a line of ffprobe's compact format. */
type Fields = ReadonlyMap<string, string>;

function readFields(line: string): Fields {
  return new Map(
    line.split('|').map((field) => {
      const at = field.indexOf('=');
      return [field.slice(0, at), field.slice(at + 1)];
    }),
  );
}

const PACKET = /^packet\|stream_index=(\d+)\|pts=([^|]*)\|dts_time=([^|]*)\|duration=([^|]*)\|flags=([^|]*)/;

/** Parses a packet line. This must be fast: hours of video have hundreds of thousands of lines. */
function readPacket(line: string): (Packet & { readonly stream: number }) | undefined {
  const [, stream, pts, decoded, duration, flags] = PACKET.exec(line) ?? [];
  if (stream === undefined || flags === undefined) return undefined;
  return {
    stream: Number(stream),
    pts: number(pts),
    decoded: number(decoded),
    duration: number(duration),
    key: flags.startsWith('K'),
    discard: flags.includes('D'),
    encrypted: line.includes('side_data_type=Encryption info'),
  };
}

const number = (text: string | undefined): number | undefined =>
  text === undefined || text === 'N/A' ? undefined : Number(text);

function streamOf(fields: Fields, packets: number): ProbedStream {
  const whole = (name: string): number => Number(fields.get(name)) || 0;
  return {
    index: whole('index'),
    width: whole('width'),
    height: whole('height'),
    bitRate: whole('bit_rate'),
    packets,
  };
}

/**
 * Chooses a stream in the order of the reference's reader. It compares the number of packets (counted up to 5), then
 * bit rate, packets and the lowest index. Attached pictures must be excluded before.
 */
export function chooseStream<S extends ProbedStream>(streams: readonly S[]): S | undefined {
  return streams
    .filter(({ packets, width, height }) => packets > 0 && width > 0 && height > 0)
    .sort(
      (a, b) =>
        Math.min(b.packets, 5) - Math.min(a.packets, 5) ||
        b.bitRate - a.bitRate ||
        b.packets - a.packets ||
        a.index - b.index,
    )[0];
}

/** Display matrix (a b . c d) → filter. See test/fixtures/golden/frames. */
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

/**
 * @param text three rows, separated by a literal `
 * `
 */
function turnOf(text: string | undefined, warnings: string[]): string | undefined {
  if (text === undefined) return undefined;
  const rows = text
    .replaceAll('\\n', '\n')
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
    warnings.push('the rotation of the clip is not a multiple of 90° and was not applied');
  return TURNS[key];
}

export function firstLine(stderr: string): string {
  return (
    stderr
      .split('\n')
      .find((line) => line.trim() !== '')
      ?.replace(/ @ 0x[0-9a-f]+/g, '')
      .replace(/\.$/, '')
      .slice(0, 200) ?? 'ffmpeg reported no reason'
  );
}

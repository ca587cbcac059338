import { QalignError } from '../../base/errors.js';
import type { WantedFrame } from './frame-choice.js';
import { firstLine } from './probe.js';
import { printedKey } from './select-expression.js';

/** The request to the decoder. */
export interface Asked {
  readonly wanted: readonly WantedFrame[];
  /** Type of the keys of `wanted`: picture numbers, or time stamps. */
  readonly keys: 'n' | 'pts';
  /** Key of the picture that replaces earlier wanted pictures if the decoder returns none of them. */
  readonly firstKey: number | undefined;
  /** If true, messages before the first picture are not damage: the clip begins between two key pictures. */
  readonly startsLate: boolean;
  /** Receives the warnings. */
  readonly warnings: string[];
}

/** A wanted picture that was decoded. */
export type Delivered = Pick<WantedFrame, 'index' | 'timeS'>;

/** A selected picture that ffmpeg reported as decoded. */
interface Announced {
  readonly key: number;
  /** Parts of it were damaged, and the decoder filled them in. */
  readonly concealed: boolean;
}

/** Interprets the messages of ffmpeg: which picture comes next, and which damage was found. */
export interface DecodeReport {
  /** The keys of the pictures that ffmpeg must output, ascending. */
  readonly letThrough: readonly number[];
  /** Processes a line of ffmpeg's messages. */
  readonly line: (line: string) => void;
  /** Must be called after the last line. */
  readonly end: () => void;
  /**
   * Returns the wanted pictures that the next raw picture shows. The list is empty if the picture was only a possible
   * replacement. It has several entries if the picture is wanted several times. Waits for the message of the picture,
   * which can arrive after the picture. @throws QalignError MEDIA_CORRUPT
   */
  readonly deliver: () => Promise<readonly Delivered[]>;
  /** Returns true once every wanted picture was delivered or skipped. */
  readonly complete: () => boolean;
  /** Returns true if the decoder reported damage. */
  readonly isDamaged: () => boolean;
  /** Returns true if no picture was decoded. */
  readonly empty: () => boolean;
  /** Adds the warnings. @throws QalignError MEDIA_CORRUPT if more than half of the pictures are lost or concealed */
  readonly finish: (code: number) => void;
}

/** Messages below the level error that indicate damage. Other warnings of ffmpeg are ignored. */
const DAMAGE = /corrupt|conceal|error parsing/i;
/** Raw pictures have no ordered time stamps, and H.261 marks no key pictures. */
const HARMLESS = /non monotonically increasing dts|first frame is no keyframe/;
/** This build of ffmpeg has no decoder for the codec. */
const NO_DECODER = /Decoder \(codec ([^)]*)\) not found/;
/** A message at level warning, printed before the line of its picture. */
const CONCEALED = 'corrupt decoded frame';

export function createDecodeReport(job: Asked): DecodeReport {
  const asked = job.wanted.flatMap(({ key, ...frame }) => (key === undefined ? [] : [{ ...frame, key }]));
  const standIn = standInOf(job, asked[0]?.key);
  const letThrough = [...new Set([...asked.map(({ key }) => key), ...standIn])].sort((a, b) => a - b);
  const messages = createMessages(new Set(letThrough), job.startsLate);
  const lost: number[] = [];
  const concealed: number[] = [];
  let at = 0; // index of the first undecided entry of `asked`
  const limit = (): void => {
    if ((lost.length + concealed.length) * 2 <= asked.length) return;
    const said = messages.complaint() === undefined ? '' : ` (${firstLine(messages.complaint() ?? '')})`;
    throw new QalignError(
      'MEDIA_CORRUPT',
      `More than half of the ${asked.length} frames of the clip are lost (${lost.length}) or damaged (${concealed.length})${said}; repair the file or download it again.`,
    );
  };
  return {
    letThrough,
    line: messages.line,
    end: messages.end,
    async deliver() {
      const picture = await messages.next();
      if (picture === undefined)
        throw new QalignError(
          'MEDIA_CORRUPT',
          'ffmpeg returned a picture without its time stamp; use another build of ffmpeg.',
        );
      const found: Delivered[] = [];
      for (; at < asked.length; at++) {
        const { key, index, second, timeS } = asked[at] as (typeof asked)[number];
        if (key > picture.key) break;
        if (key < picture.key && !standIn.includes(picture.key)) lost.push(second);
        else {
          found.push({ index, timeS });
          if (picture.concealed) concealed.push(second);
        }
      }
      limit();
      return found;
    },
    complete: () => at === asked.length,
    isDamaged: () => messages.complaint() !== undefined,
    empty: () => messages.pictures() === 0,
    finish(code) {
      lost.push(...asked.slice(at).map(({ second }) => second));
      at = asked.length;
      const said = messages.complaint();
      const codec = NO_DECODER.exec(said ?? '')?.[1];
      if (codec !== undefined)
        throw new QalignError(
          'MEDIA_UNSUPPORTED',
          `This ffmpeg has no decoder for the pictures of the clip (codec ${codec}); convert it, for example to H.264 in MP4.`,
        );
      if (lost.length === asked.length)
        throw new QalignError('MEDIA_CORRUPT', `No frame of the clip can be decoded: ${firstLine(said ?? '')}.`);
      limit();
      if (lost.length > 0)
        job.warnings.push(
          `only ${asked.length - lost.length} of ${asked.length} frames could be decoded; missing: ${seconds(lost)}`,
        );
      if (concealed.length > 0)
        job.warnings.push(`${concealed.length} of ${asked.length} frames are damaged: ${seconds(concealed)}`);
      if (code !== 0 || said !== undefined)
        job.warnings.push(`ffmpeg reported damage: ${firstLine(said ?? `exit code ${code}`)}`);
    },
  };
}

/**
 * Returns the replacement for undecodable pictures at the start of the clip. A recording that was cut between key
 * pictures begins with pictures that need the missing part, and decoders skip them. The first key picture replaces
 * them. Empty if the clip begins with a key picture.
 */
function standInOf({ keys, firstKey }: Asked, begins: number | undefined): number[] {
  return keys === 'pts' && firstKey !== undefined && begins !== undefined && begins < firstKey ? [firstKey] : [];
}

/** Sorts the lines of ffmpeg into selected pictures and damage. */
function createMessages(isLetThrough: ReadonlySet<number>, startsLate: boolean) {
  const announced: Announced[] = [];
  let wake: (() => void) | undefined;
  let ended = false;
  let pictures = 0;
  let concealing = false;
  let complaint: string | undefined;
  const isDamage = (line: string): boolean =>
    /\[(?:error|fatal|panic)\]/.test(line) ? !HARMLESS.test(line) : line.includes('[warning]') && DAMAGE.test(line);
  return {
    line: (line: string): void => {
      const key = printedKey(line);
      if (key === undefined) {
        if (startsLate && pictures === 0) return;
        if (line.includes(CONCEALED)) concealing = true;
        if (isDamage(line)) complaint ??= line.replace(/\[(?:warning|error|fatal|panic)\] /, '');
        return;
      }
      pictures += 1;
      if (isLetThrough.has(key)) announced.push({ key, concealed: concealing });
      concealing = false;
      wake?.();
    },
    end: (): void => {
      ended = true;
      wake?.();
    },
    next: async (): Promise<Announced | undefined> => {
      while (announced.length === 0 && !ended) await new Promise<void>((resolve) => (wake = resolve));
      return announced.shift();
    },
    pictures: () => pictures,
    complaint: () => complaint,
  };
}

/** Lists at most the first five times. */
function seconds(times: readonly number[]): string {
  const shown = times.slice(0, 5).map((time) => String(Math.round(time * 1000) / 1000));
  return `second${times.length === 1 ? '' : 's'} ${shown.join(', ')}${times.length > shown.length ? ' …' : ''}`;
}

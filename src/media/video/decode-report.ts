import { QalignError } from '../../base/errors.js';
import type { WantedFrame } from './frame-choice.js';
import { firstLine } from './probe.js';
import { printedKey } from './select-expression.js';

/** What is asked of the decoder. */
export interface Asked {
  readonly wanted: readonly WantedFrame[];
  /** What the keys of `wanted` are: numbers of pictures, or time stamps. */
  readonly keys: 'n' | 'pts';
  /** The picture that stands for wanted ones before it, where the decoder gives none of those. */
  readonly firstKey: number | undefined;
  /** What the decoder says before its first picture is no damage: the clip begins between two key pictures. */
  readonly startsLate: boolean;
  /** Gets what is known to be wrong. */
  readonly warnings: string[];
}

/** A decoded picture that was let through, as ffmpeg's messages tell it. */
interface Announced {
  readonly key: number;
  /** Parts of it were damaged; the decoder made them up. */
  readonly concealed: boolean;
}

/** Follows what ffmpeg says: which picture comes next, and what is wrong. */
export interface DecodeReport {
  /** The keys of the pictures that ffmpeg is to let through, ascending. */
  readonly letThrough: readonly number[];
  /** Takes a line of ffmpeg's messages. */
  readonly line: (line: string) => void;
  /** No line follows. */
  readonly end: () => void;
  /**
   * The numbers under which the next raw picture is delivered: none where it only stood by, several where it is wanted
   * repeatedly. Waits for its message, which may arrive after it. @throws QalignError MEDIA_CORRUPT
   */
  readonly deliver: () => Promise<readonly number[]>;
  /** All that is wanted has come or was passed over. */
  readonly complete: () => boolean;
  /** The decoder complained. */
  readonly isDamaged: () => boolean;
  /** Nothing was decoded. */
  readonly empty: () => boolean;
  /** Adds the warnings. @throws QalignError MEDIA_CORRUPT when more than half are lost or concealed */
  readonly finish: (code: number) => void;
}

/** Messages below the level error that mean damage; other warnings of ffmpeg are remarks. */
const DAMAGE = /corrupt|conceal|error parsing/i;
/** Raw pictures have no time stamps to be in order; H.261 marks no key pictures. */
const HARMLESS = /non monotonically increasing dts|first frame is no keyframe/;
/** ffmpeg, or this build of it, does not know the codec. */
const NO_DECODER = /Decoder \(codec ([^)]*)\) not found/;
/** At level warning; it comes before the line of the picture that it is about. */
const CONCEALED = 'corrupt decoded frame';

export function createDecodeReport(job: Asked): DecodeReport {
  const asked = job.wanted.flatMap(({ key, ...frame }) => (key === undefined ? [] : [{ ...frame, key }]));
  const standIn = standInOf(job, asked[0]?.key);
  const letThrough = [...new Set([...asked.map(({ key }) => key), ...standIn])].sort((a, b) => a - b);
  const messages = createMessages(new Set(letThrough), job.startsLate);
  const lost: number[] = [];
  const concealed: number[] = [];
  let at = 0; // the first of `asked` that is not decided
  const limit = (): void => {
    if ((lost.length + concealed.length) * 2 <= asked.length) return;
    const said = messages.complaint() === undefined ? '' : ` (${firstLine(messages.complaint() ?? '')})`;
    throw new QalignError(
      'MEDIA_CORRUPT',
      `More than half of the ${asked.length} frames of the clip are lost (${lost.length}) or damaged (${concealed.length})${said}; repair the file or get it again.`,
    );
  };
  return {
    letThrough,
    line: messages.line,
    end: messages.end,
    async deliver() {
      const picture = await messages.next();
      if (picture === undefined)
        throw new QalignError('MEDIA_CORRUPT', 'ffmpeg gave a picture without its time stamp.');
      const indices: number[] = [];
      for (; at < asked.length; at++) {
        const { key, index, second } = asked[at] as (typeof asked)[number];
        if (key > picture.key) break;
        if (key < picture.key && !standIn.includes(picture.key)) lost.push(second);
        else {
          indices.push(index);
          if (picture.concealed) concealed.push(second);
        }
      }
      limit();
      return indices;
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
        throw new QalignError('MEDIA_CORRUPT', `No frame of the clip could be decoded: ${firstLine(said ?? '')}.`);
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
 * Recordings cut between key pictures begin with pictures that need what was cut off, and decoders leave those out. The
 * first key picture then stands for them. Empty where the clip begins with that one.
 */
function standInOf({ keys, firstKey }: Asked, begins: number | undefined): number[] {
  return keys === 'pts' && firstKey !== undefined && begins !== undefined && begins < firstKey ? [firstKey] : [];
}

/** Sorts ffmpeg's lines into pictures that were let through, and damage. */
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

/** The first few of them. */
function seconds(times: readonly number[]): string {
  const shown = times.slice(0, 5).map((time) => String(Math.round(time * 1000) / 1000));
  return `second${times.length === 1 ? '' : 's'} ${shown.join(', ')}${times.length > shown.length ? ' …' : ''}`;
}

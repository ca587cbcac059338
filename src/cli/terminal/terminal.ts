import type { Writable } from 'node:stream';
import { asUnwritable } from '../../base/files/unwritable.js';
import { coloured, plain, wantsColour, withCodes, type ColourChoice, type Paint } from './colour.js';
import { fitProgress } from './bar.js';
import { foldWords } from './fold.js';
import { visible, visibleText } from './visible.js';
import { reasonOf } from '../../base/files/reason.js';

/** The output of a command. `out` carries only data; messages for people go to `say`. */
export interface Terminal {
  /**
   * Writes data to stdout, above the progress line if both are on a terminal. Resolves when the reader has accepted it
   * (back-pressure); rejects when stdout is closed. On a terminal, control characters are escaped.
   */
  out(text: string): Promise<void>;
  /** Writes text to stderr, above the progress line. On a terminal, it is wrapped between words. */
  say(text: string): void;
  /** Like `say`, for a line that programs also read: it is never wrapped. */
  sayLine(line: string): void;
  /**
   * Replaces the progress line on stderr; `undefined` removes it. If stderr is not a terminal, writes a line without a
   * bar every ten seconds, for logs.
   */
  progress(line: string | undefined): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Current width of stdout in cells, which changes with the terminal. Infinity if stdout is not a terminal. */
  readonly columns: number;
  /** Styles text for people on stdout, and on stderr. Data is never styled. */
  readonly paint: Paint;
  readonly paintErr: Paint;
  /** Applies the value of `--color`. */
  useColour(choice: ColourChoice): void;
}

/** A closed reader is not an error of qalign. Other failures, such as a full disk, become OUTPUT_UNWRITABLE. */
function unwritable(error: NodeJS.ErrnoException): Error {
  return error.code === 'EPIPE'
    ? error
    : asUnwritable(error, (error) => `The output could not be written: ${reasonOf(error)}.`);
}

const PLAIN_EVERY_MS = 10_000;
const BAR = /[█░]+ /;
const DEFAULT_COLUMNS = 80;
const CLEAR = '\r\u001b[J';

// columns is 0 on a terminal without a size
type Stream = Writable & { isTTY?: boolean; columns?: number };

export function createTerminal(
  stdout: Stream,
  stderr: Stream,
  { now = () => performance.now(), env = process.env }: { now?: () => number; env?: NodeJS.ProcessEnv } = {},
): Terminal {
  let shown: string | undefined;
  let lastPlain = now();
  let choice: ColourChoice = 'auto';
  const errIsTerminal = stderr.isTTY === true;
  const outIsTerminal = stdout.isTTY === true;
  const paintFor =
    (isTerminal: boolean): Paint =>
    (style, text) =>
      (wantsColour(isTerminal, env, choice) ? coloured : plain)(style, text);
  // the cursor stays at the start of the line, so that CLEAR also removes ^C and lines that a resize wrapped
  const draw = (line: string): boolean =>
    stderr.write(`${CLEAR}${fitProgress(line, (stderr.columns || DEFAULT_COLUMNS) - 1)}\r`);
  const aboveProgress = <T>(write: () => T): T => {
    if (shown !== undefined) stderr.write(CLEAR);
    const written = write();
    if (shown !== undefined) draw(shown);
    return written;
  };
  const send = (text: string): Promise<void> =>
    new Promise((resolve, reject) => stdout.write(text, (error) => (error ? reject(unwritable(error)) : resolve())));
  const tell = (text: string): void => void aboveProgress(() => stderr.write(`${withCodes(text)}\n`));
  if (errIsTerminal)
    stderr.on('resize', () => {
      if (shown !== undefined) draw(shown);
    });
  return {
    out: (text) => (outIsTerminal ? aboveProgress(() => send(withCodes(visibleText(text)))) : send(withCodes(text))),
    say: (text) =>
      tell(errIsTerminal ? foldWords(visibleText(text), stderr.columns || DEFAULT_COLUMNS) : visibleText(text)),
    sayLine: (line) => tell(visibleText(line)),
    progress(line) {
      if (!errIsTerminal) {
        if (line === undefined || now() - lastPlain < PLAIN_EVERY_MS) return;
        lastPlain = now();
        stderr.write(`qalign: ${visible(line.replace(BAR, ''))}\n`);
        return;
      }
      if (line === undefined && shown === undefined) return;
      shown = line === undefined ? undefined : visible(line);
      if (shown === undefined) stderr.write(CLEAR);
      else draw(shown);
    },
    outIsTerminal,
    errIsTerminal,
    get columns() {
      return outIsTerminal ? stdout.columns || DEFAULT_COLUMNS : Infinity;
    },
    paint: paintFor(outIsTerminal),
    paintErr: paintFor(errIsTerminal),
    useColour(wanted) {
      choice = wanted;
    },
  };
}

import type { Writable } from 'node:stream';
import { asUnwritable } from '../../base/files/unwritable.js';
import { visible, visibleText } from './visible.js';

/** Where a command prints. `out` carries data and nothing else; everything for people's eyes goes to `say`. */
export interface Terminal {
  /**
   * Data to stdout, above the progress line where both are on a terminal. Resolves when the reader has taken it
   * (back-pressure), rejects once stdout is closed. On a terminal, control characters are shown, not obeyed.
   */
  out(text: string): Promise<void>;
  /** A line to stderr, above the progress line if there is one. */
  say(text: string): void;
  /**
   * Replaces the progress line on stderr; `undefined` removes it. Where stderr is no terminal, a line without a bar is
   * written every ten seconds, for logs.
   */
  progress(line: string | undefined): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  readonly columns: number;
}

/** A closed reader is no error of ours; a full disk is one, and no bug. */
function unwritable(error: NodeJS.ErrnoException): Error {
  return error.code === 'EPIPE'
    ? error
    : asUnwritable(error, ({ message }) => `The output could not be written: ${message}.`);
}

const PLAIN_EVERY_MS = 10_000;
const BAR = /[█░]+ /;

// columns is 0 on a terminal that has no size
type Stream = Writable & { isTTY?: boolean; columns?: number };

export function createTerminal(stdout: Stream, stderr: Stream, now: () => number = () => performance.now()): Terminal {
  let shown: string | undefined;
  let lastPlain = now();
  const draw = (line: string): boolean => stderr.write(`\r\u001b[2K${line}`);
  const errIsTerminal = stderr.isTTY === true;
  const outIsTerminal = stdout.isTTY === true;
  const aboveProgress = <T>(write: () => T): T => {
    if (shown !== undefined) draw('');
    const written = write();
    if (shown !== undefined) draw(shown);
    return written;
  };
  const send = (text: string): Promise<void> =>
    new Promise((resolve, reject) => stdout.write(text, (error) => (error ? reject(unwritable(error)) : resolve())));
  return {
    out: (text) => (outIsTerminal ? aboveProgress(() => send(visibleText(text))) : send(text)),
    say: (text) => void aboveProgress(() => stderr.write(`${visibleText(text)}\n`)),
    progress(line) {
      if (!errIsTerminal) {
        if (line === undefined || now() - lastPlain < PLAIN_EVERY_MS) return;
        lastPlain = now();
        stderr.write(`qalign: ${visible(line.replace(BAR, ''))}\n`);
        return;
      }
      if (line === undefined && shown === undefined) return;
      shown = line === undefined ? undefined : visible(line).slice(0, (stderr.columns || 80) - 1);
      draw(shown ?? '');
    },
    outIsTerminal,
    errIsTerminal,
    columns: stdout.columns || 100,
  };
}

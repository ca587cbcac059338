import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import xterm from '@xterm/headless';
import { packageRoot } from '../../../src/base/package-root.js';

const PTY = join(packageRoot, 'test/cli/terminal/in_terminal.py');
export const ROWS = 24;

export interface ScreenOptions {
  /** 0: a terminal without a size, which is shown with 80 columns. */
  readonly columns: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Called with the screen after every write; can act on it. */
  readonly onChange?: (lines: string[], screen: Keyboard) => void;
}

export interface Keyboard {
  type(text: string): void;
  resize(columns: number): void;
}

export interface Shown {
  readonly code: number | null;
  /** The scrollback and the screen, without blanks at the ends and the empty lines below. */
  readonly lines: string[];
  /** Lines that a terminal had to fold. */
  readonly folded: string[];
  readonly cursor: { readonly column: number; readonly visible: boolean };
  /** Whether any cell has a colour or is bold or dim. */
  readonly styled: boolean;
}

const { NO_COLOR: _no, FORCE_COLOR: _force, CLICOLOR: _old, ...withoutColour } = process.env;

/** Runs a command in a pseudo-terminal and replays what it writes in a terminal emulator. */
export async function onScreen(
  command: readonly string[],
  { columns, env = {}, cwd, onChange }: ScreenOptions,
): Promise<Shown> {
  const emulator = new xterm.Terminal({ cols: columns || 80, rows: ROWS, scrollback: 10_000, allowProposedApi: true });
  emulator.loadAddon(new Unicode11Addon());
  emulator.unicode.activeVersion = '11';
  const child = spawn('python3', [PTY, `${columns}`, `${ROWS}`, ...command], {
    cwd,
    env: { ...withoutColour, TERM: 'xterm-256color', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let bytes = '';
  const keyboard: Keyboard = {
    type: (text) => void child.stdin.write(`type ${Buffer.from(text).toString('hex')}\n`),
    resize(wanted) {
      emulator.resize(wanted, ROWS);
      child.stdin.write(`resize ${wanted} ${ROWS}\n`);
    },
  };
  const code = new Promise<number | null>((resolve) => child.on('close', resolve));
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.toString('latin1');
    await new Promise<void>((resolve) => emulator.write(chunk, resolve));
    onChange?.(read(emulator).lines, keyboard);
  }
  child.stdin.end();
  const hidden = bytes.lastIndexOf('\u001b[?25l') > bytes.lastIndexOf('\u001b[?25h');
  const cursor = { column: emulator.buffer.active.cursorX, visible: !hidden };
  return { code: await code, ...read(emulator), cursor, styled: isStyled(emulator) };
}

/** `qalign …argv` from source. */
export const qalignOn = (argv: readonly string[], options: ScreenOptions): Promise<Shown> =>
  onScreen([process.execPath, '--import', tsx, join(packageRoot, 'src/cli/main.ts'), ...argv], options);

const tsx = import.meta.resolve('tsx');

function read({ buffer }: xterm.Terminal): { lines: string[]; folded: string[] } {
  const all = Array.from({ length: buffer.active.length }, (_, at) => buffer.active.getLine(at)!);
  const texts = all.map((line) => line.translateToString(true));
  while (texts.at(-1) === '') texts.pop();
  return { lines: texts, folded: texts.filter((_, at) => all[at]!.isWrapped) };
}

function isStyled({ buffer, cols }: xterm.Terminal): boolean {
  return Array.from({ length: buffer.active.length }, (_, at) => buffer.active.getLine(at)!).some((line) =>
    Array.from({ length: cols }, (_, x) => line.getCell(x)).some(
      (cell) => cell !== undefined && (!cell.isFgDefault() || cell.isBold() !== 0 || cell.isDim() !== 0),
    ),
  );
}

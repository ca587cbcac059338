#!/usr/bin/env node
import { setMaxListeners } from 'node:events';
import { unfitRuntime } from '../base/runtime.js';
import { createLogger, type LogLevel } from '../base/logger.js';
import { takeSecondSignal } from './second-signal.js';
import { createTerminal } from './terminal/terminal.js';

// checked before any command is imported, because their modules run only on a supported Node.js
const unfit = unfitRuntime();
if (unfit !== undefined) {
  process.stderr.write(`${unfit}\n`);
  process.exit(1);
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const wanted = LEVELS.find((level) => level === process.env['QALIGN_LOG']) ?? 'warn';

const terminal = createTerminal(process.stdout, process.stderr);
const log = createLogger(
  (level, message, fields) =>
    terminal.say(`${paintedLevel(level)}: ${message}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}`),
  wanted,
);

function paintedLevel(level: LogLevel): string {
  if (level === 'error') return terminal.paintErr('red', level);
  return level === 'warn' ? terminal.paintErr('yellow', level) : level;
}

const interrupt = new AbortController();
setMaxListeners(0, interrupt.signal); // every running operation adds a listener

let closedByReader = false;
for (const stream of [process.stdout, process.stderr]) {
  // `qalign … | head`: a reader that closes the pipe is not an error
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') return; // the failed write rejects, and its caller reports the error
    closedByReader = true;
    interrupt.abort();
  });
}
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    // second signal: exit without cleanup, unless the command waits for it
    if (interrupt.signal.aborted && !takeSecondSignal()) process.exit(code);
    interrupt.abort();
  });
}

const argv = process.argv.slice(2);
// imports of Python take longer than everything that this process does before the first score
const waiting = argv[0] === 'score' ? await (await import('./score/ahead.js')).startAhead(argv.slice(1)) : undefined;
const { runCli } = await import('./run.js');
const code = await runCli(argv, { terminal, log, signal: interrupt.signal, waiting });
waiting?.end();
process.exitCode = closedByReader ? 141 : code;
// do not wait for a training in the middle of a step: it stops when it notices that its parent has exited
if (interrupt.signal.aborted) setTimeout(() => process.exit(), 2000).unref();

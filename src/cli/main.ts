#!/usr/bin/env node
import { setMaxListeners } from 'node:events';
import { unfitRuntime } from '../base/runtime.js';
import { createLogger, type LogLevel } from '../base/logger.js';
import { runCli } from './run.js';
import { createTerminal } from './terminal/terminal.js';

// commands are loaded later, and with them what only Node can run
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
setMaxListeners(0, interrupt.signal); // whatever is under way listens to it

let closedByReader = false;
for (const stream of [process.stdout, process.stderr]) {
  // `qalign … | head`: the reader has had enough, which is no error of ours
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') return; // whoever wrote is told, and says it
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
    if (interrupt.signal.aborted) process.exit(code); // asked twice: do not tidy up any longer
    interrupt.abort();
  });
}

const code = await runCli(process.argv.slice(2), { terminal, log, signal: interrupt.signal });
process.exitCode = closedByReader ? 141 : code;
// a training in the middle of a step does not keep this process alive: it notices that its parent is gone
if (interrupt.signal.aborted) setTimeout(() => process.exit(), 2000).unref();

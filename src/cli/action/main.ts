// The program that action.yml runs. Inputs are environment variables; the exit code is that of "qalign score".
import { setMaxListeners } from 'node:events';
import { silentLogger } from '../../base/logger.js';
import { createTerminal } from '../terminal/terminal.js';
import { runAction } from './action.js';

const ending = new AbortController();
setMaxListeners(0, ending.signal);
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ending.abort());

process.exitCode = await runAction({
  env: process.env,
  folder: process.cwd(),
  terminal: createTerminal(process.stdout, process.stderr),
  log: silentLogger,
  signal: ending.signal,
  command: (line) => void process.stdout.write(`${line}\n`),
  // imported on demand: a run without changed pictures does not need the engine
  createScorer: async (options) => (await import('../../recipes/score/create-scorer.js')).createScorer(options),
});

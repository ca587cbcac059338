import { resumeRun } from '../../recipes/train/train.js';
import { activePid, followEvents, requestStop, summarise } from '../../runs/run-directory.js';
import { defineCommand } from '../command.js';
import { asJson, runAsJson } from '../terminal/json.js';
import { createSetupProgress } from '../terminal/progress.js';
import { tableFor } from '../terminal/table.js';
import { createProgress } from '../train.js';
import { JSON_FLAG, onlyRun, runCells } from './run-line.js';

export const watch = defineCommand({
  name: 'runs watch',
  summary: 'follow the events of a run until it ends',
  args: 'RUN',
  description:
    'Shows a progress line on a terminal. On a pipe, or with --json, prints every event as a line of JSON. For a run that has ended, prints all its events.',
  examples: ['qalign runs watch koniq', 'qalign runs watch koniq --json | jq .loss'],
  flags: { json: { type: 'boolean', help: 'print events as lines of JSON, also on a terminal' } },
  async run({ args, flags, terminal, signal }) {
    const folder = onlyRun(args, 'watch');
    const draw = createProgress(terminal);
    let active = (await activePid(folder)) !== undefined;
    const poll = setInterval(() => void activePid(folder).then((pid) => (active = pid !== undefined)), 500);
    try {
      for await (const event of followEvents(folder, () => !active, signal)) {
        draw(event);
        if (flags.json || !terminal.outIsTerminal) await terminal.out(`${JSON.stringify(event)}\n`);
      }
    } finally {
      clearInterval(poll);
    }
    return 0;
  },
});

export const stop = defineCommand({
  name: 'runs stop',
  summary: 'stop a run after its current step, with a checkpoint',
  args: 'RUN',
  description: 'Waits until the checkpoint is written, unless --no-wait is set.',
  examples: ['qalign runs stop koniq'],
  flags: {
    'no-wait': { type: 'boolean', help: 'return immediately' },
    json: { type: 'boolean', help: 'print the run as JSON' },
  },
  async run({ args, flags, terminal, signal }) {
    const folder = onlyRun(args, 'stop');
    if ((await activePid(folder)) === undefined) {
      terminal.say(`${folder} is not being trained.`);
      return 1;
    }
    await requestStop(folder);
    while (!flags['no-wait'] && !signal.aborted && (await activePid(folder)) !== undefined) {
      terminal.progress('waiting for the end of the step and its checkpoint');
      await new Promise((done) => setTimeout(done, 200));
    }
    const run = await summarise(folder);
    await terminal.out(
      flags.json
        ? asJson(runAsJson({ ...run, folder }))
        : tableFor(terminal, runCells([run]).slice(terminal.outIsTerminal ? 0 : 1)),
    );
    return 0;
  },
});

export const resume = defineCommand({
  name: 'runs resume',
  summary: 'continue a run from its last complete checkpoint',
  args: 'RUN',
  description: 'Also continues a run that was killed. A completed run has nothing left to do.',
  examples: ['qalign runs resume koniq'],
  interrupted: 'the same command continues from the last checkpoint',
  flags: JSON_FLAG,
  async run({ args, flags, terminal, signal }) {
    const result = await resumeRun(onlyRun(args, 'resume'), {
      signal,
      onSetup: createSetupProgress(terminal),
      onEvent: createProgress(terminal),
    });
    terminal.progress(undefined);
    terminal.say(`${result.status} at step ${result.step}`);
    await terminal.out(flags.json ? asJson(runAsJson(result)) : `${result.folder}\n`);
    return 0;
  },
});

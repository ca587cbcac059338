import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readEvents, runsRoot, summarise } from '../../runs/run-directory.js';
import { openRunStore } from '../../runs/run-store.js';
import { defineCommand, defineGroup } from '../command.js';
import { asJson, runAsJson } from '../terminal/json.js';
import { tableFor } from '../terminal/table.js';
import { compare } from './compare.js';
import { exportRun } from './export.js';
import { resume, stop, watch } from './control.js';
import { joinHost } from './join.js';
import { JSON_FLAG, onlyRun, runCells } from './run-line.js';

const list = defineCommand({
  name: 'runs list',
  summary: 'list all runs, oldest first',
  examples: ['qalign runs list', 'qalign runs list --json'],
  flags: JSON_FLAG,
  async run({ flags, terminal }) {
    const runs = await openRunStore(runsRoot()).refresh();
    if (runs.length === 0 && !flags.json)
      terminal.say(
        `There are no runs in ${runsRoot()}; start one with "qalign train RECIPE", or set QALIGN_RUNS to another folder.`,
      );
    if (flags.json) await terminal.out(asJson(runs.map(runAsJson)));
    else if (runs.length > 0 || !terminal.outIsTerminal) await terminal.out(tableFor(terminal, runCells(runs)));
    return 0;
  },
});

const show = defineCommand({
  name: 'runs show',
  summary: 'show the state, best evaluation, recipe and environment of a run as JSON',
  args: 'RUN',
  examples: ['qalign runs show koniq'],
  flags: { json: { type: 'boolean', help: 'print JSON (the default)' } },
  async run({ args, terminal }) {
    const folder = onlyRun(args, 'show');
    const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(folder, name), 'utf8'));
    const best = (await readEvents(folder)).findLast((event) => event.event === 'best');
    const all = {
      ...runAsJson({ ...(await summarise(folder)), folder }),
      ...(best === undefined
        ? {}
        : { best: { step: best.step, metric: best.metric, value: best.value, checkpoint: best.path } }),
      recipe: await read('recipe.json'),
      environment: await read('environment.json'),
    };
    await terminal.out(asJson(all));
    return 0;
  },
});

export const runs = defineGroup({
  name: 'runs',
  summary: 'list, show, watch, stop, resume, compare, export and join training runs',
  commands: [list, show, watch, stop, resume, compare, exportRun, joinHost],
});

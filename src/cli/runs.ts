import { cp, readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { QalignError } from '../base/errors.js';
import { guardWrite } from '../base/files/unwritable.js';
import { makeWhole } from '../base/files/whole-file.js';
import { joinRun, resumeRun } from '../recipes/train/train.js';
import {
  activePid,
  findRun,
  followEvents,
  requestStop,
  runsRoot,
  summarise,
  type RunSummary,
} from '../runs/run-directory.js';
import { openRunStore } from '../runs/run-store.js';
import { defineCommand, defineGroup } from './command.js';
import { runAsJson } from './terminal/run-json.js';
import { createProgress } from './train.js';

const only = (args: readonly string[], name: string): string => {
  if (args[0] === undefined || args.length !== 1)
    throw new QalignError('USAGE', `qalign runs ${name}: name one run; see "qalign runs list".`);
  return findRun(runsRoot(), args[0]);
};
const digits = (value: number | undefined, places = 4): string => value?.toFixed(places) ?? '-';
const line = (run: RunSummary): string =>
  [
    run.id,
    run.status,
    `${run.step}/${run.totalSteps ?? '-'}`,
    digits(run.loss),
    digits(run.srcc),
    digits(run.plcc),
  ].join('\t');
const JSON_FLAG = { json: { type: 'boolean', help: 'as JSON' } } as const;
const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
const HEADER = 'run\tstatus\tstep\tloss\tsrcc\tplcc\n';

const list = defineCommand({
  name: 'runs list',
  summary: 'all runs, oldest first',
  examples: ['qalign runs list', 'qalign runs list --json'],
  flags: JSON_FLAG,
  async run({ flags, terminal }) {
    const runs = await openRunStore(runsRoot()).refresh();
    await terminal.out(
      flags.json ? asJson(runs.map(runAsJson)) : HEADER + runs.map((run) => `${line(run)}\n`).join(''),
    );
    return 0;
  },
});

const show = defineCommand({
  name: 'runs show',
  summary: 'one run: its state, recipe and environment as JSON',
  args: 'RUN',
  examples: ['qalign runs show koniq'],
  flags: { json: { type: 'boolean', help: 'what it prints anyway' } },
  async run({ args, terminal }) {
    const folder = only(args, 'show');
    const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(folder, name), 'utf8'));
    const all = {
      ...runAsJson({ ...(await summarise(folder)), folder }),
      recipe: await read('recipe.json'),
      environment: await read('environment.json'),
    };
    await terminal.out(asJson(all));
    return 0;
  },
});

const watch = defineCommand({
  name: 'runs watch',
  summary: 'follow the events of a run until it ends',
  args: 'RUN',
  description:
    'On a terminal a progress line; on a pipe, or with --json, every event as a line of JSON. A run that is over is told from its beginning.',
  examples: ['qalign runs watch koniq', 'qalign runs watch koniq --json | jq .loss'],
  flags: { json: { type: 'boolean', help: 'events as lines of JSON, also on a terminal' } },
  async run({ args, flags, terminal, signal }) {
    const folder = only(args, 'watch');
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

const stop = defineCommand({
  name: 'runs stop',
  summary: 'end a run after its step, with a checkpoint',
  args: 'RUN',
  description: 'Waits until the checkpoint is written, unless --no-wait says otherwise.',
  examples: ['qalign runs stop koniq'],
  flags: { 'no-wait': { type: 'boolean', help: 'return at once' }, json: { type: 'boolean', help: 'the run as JSON' } },
  async run({ args, flags, terminal, signal }) {
    const folder = only(args, 'stop');
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
    await terminal.out(flags.json ? asJson(runAsJson({ ...run, folder })) : `${line(run)}\n`);
    return 0;
  },
});

const resume = defineCommand({
  name: 'runs resume',
  summary: 'go on from the last complete checkpoint',
  args: 'RUN',
  description: 'Also for a run that was killed. A completed run has nothing left to do.',
  examples: ['qalign runs resume koniq'],
  flags: JSON_FLAG,
  async run({ args, flags, terminal, signal }) {
    const result = await resumeRun(only(args, 'resume'), { signal, onEvent: createProgress(terminal) });
    terminal.progress(undefined);
    terminal.say(`${result.status} at step ${result.step}`);
    await terminal.out(flags.json ? asJson(runAsJson(result)) : `${result.folder}\n`);
    return 0;
  },
});

const compare = defineCommand({
  name: 'runs compare',
  summary: 'two or more runs: what differs in their recipes, and their results',
  args: 'RUN RUN…',
  examples: ['qalign runs compare koniq koniq-2'],
  flags: JSON_FLAG,
  async run({ args, flags, terminal }) {
    if (args.length < 2)
      throw new QalignError('USAGE', 'qalign runs compare: name two runs or more; see "qalign runs list".');
    const folders = args.map((id) => findRun(runsRoot(), id));
    const recipes = await Promise.all(
      folders.map(
        async (folder) => JSON.parse(await readFile(join(folder, 'recipe.json'), 'utf8')) as Record<string, unknown>,
      ),
    );
    const keys = [...new Set(recipes.flatMap(Object.keys))].filter(
      (key) => new Set(recipes.map((recipe) => JSON.stringify(recipe[key]))).size > 1,
    );
    const summaries = await Promise.all(folders.map(summarise));
    if (flags.json) {
      const runs = summaries.map((run, index) => ({
        ...runAsJson(run),
        recipe: Object.fromEntries(keys.map((key) => [key, recipes[index]?.[key] ?? null])),
      }));
      await terminal.out(asJson({ differing: keys, runs }));
      return 0;
    }
    const different = keys.map((key) =>
      [key, ...recipes.map((recipe) => JSON.stringify(recipe[key]) ?? '-')].join('\t'),
    );
    await terminal.out(`${HEADER}${[...summaries.map(line), '', ...different].join('\n')}\n`);
    return 0;
  },
});

const exportRun = defineCommand({
  name: 'runs export',
  summary: 'copy the trained model (and LoRA adapter) of a completed run',
  args: 'RUN DIRECTORY',
  examples: ['qalign runs export koniq models/koniq'],
  flags: {
    ...JSON_FLAG,
    adapter: { type: 'boolean', help: 'the LoRA adapter in PEFT’s layout instead of the whole model' },
  },
  async run({ args: [id, target], flags, terminal }) {
    if (id === undefined || target === undefined)
      throw new QalignError('USAGE', 'qalign runs export: name a run and a directory.');
    const source = join(findRun(runsRoot(), id), flags.adapter ? 'adapter' : 'model');
    if (!existsSync(source))
      throw new QalignError(
        'RUN_NOT_FOUND',
        `The run ${id} has no ${flags.adapter ? 'adapter' : 'model'} yet; "qalign runs resume ${id}" completes it.`,
      );
    await copyWhole(source, resolve(target));
    await terminal.out(flags.json ? asJson({ run: id, path: resolve(target) }) : `${resolve(target)}\n`);
    return 0;
  },
});

/** The target appears whole or not at all, and never over something that is there. */
async function copyWhole(source: string, target: string): Promise<void> {
  if (existsSync(target))
    throw new QalignError('OUTPUT_UNWRITABLE', `${target} is there already; name a directory that is not.`);
  await guardWrite(
    () => makeWhole(target, (draft) => cp(source, draft, { recursive: true })),
    (error) => `${target} could not be written: ${error.message}.`,
  );
}

const joinHost = defineCommand({
  name: 'runs join',
  summary: 'bring this host into a run of several hosts',
  args: 'RUN',
  description:
    'The first host starts the run ("qalign train RECIPE hosts=2 processes=16 rendezvous=HOST:29500"); every other one joins with its number. The runs folder must be on a disk that all of them share, and the network a private one: the rendezvous asks nobody who he is.',
  examples: ['qalign runs join koniq --rank 1'],
  flags: {
    rank: { type: 'number', value: 'N', help: 'number of this host, from 1' },
    json: { type: 'boolean', help: 'the run as JSON when it is over' },
  },
  async run({ args, flags, terminal }) {
    const folder = only(args, 'join');
    if (flags.rank === undefined)
      throw new QalignError(
        'USAGE',
        "qalign runs join: give this host's number with --rank, from 1; the first host has 0.",
      );
    await joinRun(folder, flags.rank);
    if (flags.json) await terminal.out(asJson(runAsJson({ ...(await summarise(folder)), folder })));
    return 0;
  },
});

export const runs = defineGroup({
  name: 'runs',
  summary: 'list, show, watch, stop, resume, compare, export and join training runs',
  commands: [list, show, watch, stop, resume, compare, exportRun, joinHost],
});

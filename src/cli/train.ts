import type { TrainEvent } from '../../bridge/protocol/train.js';
import { loadRecipe } from '../config/recipes.js';
import { TrainRecipe } from '../config/train.js';
import { QalignError } from '../base/errors.js';
import { formatDuration } from '../base/units.js';
import { describeEstimate, describeResources } from '../recipes/train/describe-plan.js';
import type { PrepareProgress } from '../recipes/train/prepare.js';
import { seriesCells, trainSeries, type TrainSeriesOptions } from '../recipes/train/loss-series.js';
import { describeTime } from '../recipes/train/time-estimate.js';
import { planRecipe, train as runTraining, type RecipePlan } from '../recipes/train/train.js';
import { defineCommand } from './command.js';
import { bar } from './terminal/bar.js';
import { createSetupProgress, progressLine } from './terminal/progress.js';
import { RECIPE_FLAGS, recipePage } from './terminal/recipes.js';
import { asJson, planAsJson, runAsJson, seriesAsJson } from './terminal/json.js';
import type { Terminal } from './terminal/terminal.js';
import { fittedTable } from './terminal/table.js';

export const train = defineCommand({
  name: 'train',
  summary: 'train a model from a recipe',
  args: 'RECIPE…',
  description:
    'RECIPE is a name from --list or a YAML file. Prepares the pictures, trains, and writes a run directory with the model. Ctrl-C stops after the current step and writes a checkpoint. Several recipes, or one recipe with --seeds, are trained one after the other; a table then shows the results. If such a series is interrupted, the same command continues it and keeps completed runs.',
  examples: [
    'qalign train --list',
    'qalign train koniq --plan',
    'qalign train koniq batch_size=32 seed=1',
    'qalign train ablation-levels ablation-soft-labels --seeds 1,2,3',
  ],
  overrides: true,
  interrupted: 'the same command starts again; "qalign runs resume RUN" continues a run of "qalign runs list"',
  flags: {
    ...RECIPE_FLAGS,
    plan: {
      type: 'boolean',
      help: 'report the memory, disk space and time that the run needs, without training; exit code 1 if it does not fit this machine',
    },
    seeds: { type: 'string', value: 'N,N…', help: 'train each recipe once with each of these seeds' },
    json: { type: 'boolean', help: 'print the plan, the list, the keys or the result as JSON' },
  },
  async run({ args, overrides, flags, terminal, signal }) {
    const page = await recipePage('train', TrainRecipe, flags, terminal);
    if (page !== undefined) {
      await terminal.out(page);
      return 0;
    }
    if (args.length === 0)
      throw new QalignError('USAGE', 'qalign train: name a recipe; "qalign train --list" shows the recipes.');
    const recipes = (await Promise.all(
      args.map((word) => loadRecipe('train', TrainRecipe, word, overrides)),
    )) as TrainRecipe[];
    const [recipe] = recipes as [TrainRecipe];
    const seeds = flags.seeds?.split(',').map((word) => readSeed(word, flags.seeds ?? ''));
    const several = recipes.length > 1 || seeds !== undefined;
    if (flags.plan) {
      if (several) throw new QalignError('USAGE', 'qalign train --plan: name one recipe, without --seeds.');
      const found = await planRecipe(recipe);
      const lines = [...describeEstimate(found.plan, found.recipe, found.diskBytes), ...describeMachine(found)];
      await terminal.out(flags.json ? asJson(planAsJson(found)) : `${lines.join('\n')}\n`);
      return found.plan?.fits !== false && found.misfits.length === 0 ? 0 : 1;
    }
    const options = {
      signal,
      onSetup: createSetupProgress(terminal),
      onPrepare: createPrepareProgress(terminal),
      onEvent: createProgress(terminal),
    };
    if (several)
      return runSeries(recipes, { ...options, ...(seeds === undefined ? {} : { seeds }) }, terminal, flags.json);
    const result = await runTraining(recipe, options);
    terminal.progress(undefined);
    if (result.skipped > 0)
      terminal.say(`${result.skipped} damaged files were skipped; ${result.folder}/skipped.json lists them.`);
    if (result.warned > 0)
      terminal.say(`${result.warned} files have warnings; ${result.folder}/warnings.json lists them.`);
    terminal.say(`${result.status} at step ${result.step}`);
    await terminal.out(flags.json ? asJson(runAsJson(result)) : `${result.folder}\n`);
    return 0;
  },
});

function describeMachine({ time, misfits, recipe, machine }: RecipePlan): string[] {
  return [
    `time           ${time === undefined ? 'unknown: the records do not exist yet' : describeTime(time, recipe)}`,
    describeResources(machine),
    ...(misfits.length === 0 ? ['this machine   fits'] : misfits.map((why) => `this machine   does not fit: ${why}`)),
  ];
}

async function runSeries(
  recipes: readonly TrainRecipe[],
  options: TrainSeriesOptions,
  terminal: Terminal,
  json: boolean,
): Promise<number> {
  const series = await trainSeries(recipes, {
    ...options,
    onStart: ({ name, number, total }) => terminal.say(`${name} (${number} of ${total})`),
  });
  terminal.progress(undefined);
  await terminal.out(
    json
      ? asJson(seriesAsJson(series))
      : `${fittedTable(seriesCells(series), terminal.columns, terminal.paint).join('\n')}\n`,
  );
  return options.signal?.aborted === true ? 130 : 0;
}

function readSeed(word: string, all: string): number {
  const seed = Number(word);
  if (word.trim() === '' || !Number.isInteger(seed) || seed < 0)
    throw new QalignError(
      'USAGE',
      `qalign train: --seeds must be whole numbers separated by commas, such as 1,2,3, not "${all}".`,
    );
  return seed;
}

/** Shows the progress, rate and remaining time of decoding, which takes hours for a large data set. */
function createPrepareProgress(terminal: Terminal): (progress: PrepareProgress) => void {
  const started = new Map<string, number>();
  return ({ split, done, total, skipped }) => {
    const begun = started.get(split) ?? Date.now();
    started.set(split, begun);
    terminal.progress(
      `preparing ${split}: ${progressLine({ done, failed: skipped, total, elapsedMs: Date.now() - begun })}`,
    );
  };
}

/**
 * Shows steps as a progress line with the remaining time. Prints evaluations and failed checkpoints as separate lines.
 */
export function createProgress(terminal: Terminal): (event: TrainEvent) => void {
  let total = 0;
  let first: { step: number; time: number } | undefined;
  return (event) => {
    if (event.event === 'started') {
      total = event.total_steps;
      first = { step: event.step, time: event.time };
    }
    if (event.event === 'measured')
      terminal.progress(`measuring pictures with the frozen encoder: ${event.done}/${event.total}`);
    if (event.event === 'tracker_failed')
      terminal.say(`${event.tracker} does not answer (${event.message}); the run continues without it.`);
    if (event.event === 'evaluation')
      terminal.say(
        `step ${event.step}: SRCC ${event.srcc?.toFixed(4) ?? '–'}, PLCC ${event.plcc?.toFixed(4) ?? '–'} on ${event.items}`,
      );
    if (event.event === 'best')
      terminal.say(`step ${event.step}: the best ${event.metric.toUpperCase()} so far, ${event.value.toFixed(4)}`);
    if (event.event === 'checkpoint_failed')
      terminal.say(`step ${event.step}: the checkpoint could not be written (${event.message}); training continues.`);
    if (event.event !== 'step' || first === undefined) return;
    const each = (event.time - first.time) / Math.max(1, event.step - first.step);
    const loss = event.loss?.toFixed(4) ?? '–';
    terminal.progress(
      `${bar(event.step / Math.max(1, total), 16)} step ${event.step}/${total}, loss ${loss}, ${event.images_per_s.toFixed(1)} images/s, ${formatDuration(each * (total - event.step))} to go`,
    );
  };
}

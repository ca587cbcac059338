import type { TrainEvent } from '../../bridge/protocol/train.js';
import { loadConfig } from '../config/load.js';
import { TrainRecipe } from '../config/train.js';
import { QalignError } from '../errors.js';
import { describePlan } from '../recipes/train-plan.js';
import type { PrepareProgress } from '../recipes/train-prepare.js';
import { planRecipe, train as runTraining } from '../recipes/train.js';
import { defineCommand } from './command.js';
import { planAsJson, runAsJson } from './run-json.js';
import type { Terminal } from './terminal.js';

export const train = defineCommand({
  name: 'train',
  summary: 'train a model by a recipe',
  args: 'RECIPE [key=value…]',
  description: 'Prepares the pictures, trains, and leaves a run directory with the model. Ctrl-C stops after the step, with a checkpoint.',
  examples: ['qalign train configs/train/koniq.yaml --plan', 'qalign train configs/train/koniq.yaml batch_size=32 seed=1'],
  overrides: true,
  flags: {
    plan: { type: 'boolean', help: 'show what memory and disk the run needs, and start nothing; exit code 1 when it does not fit' },
    json: { type: 'boolean', help: 'the plan, or the result, as JSON' },
  },
  async run({ args, overrides, flags, terminal, signal }) {
    const path = args[0];
    if (path === undefined || args.length > 1) throw new QalignError('USAGE', 'qalign train: name one recipe; see "qalign train --help".');
    const recipe = (await loadConfig(TrainRecipe, path, overrides)) as TrainRecipe;
    if (flags.plan) {
      const { plan, diskBytes } = await planRecipe(recipe);
      await terminal.out(flags.json ? `${JSON.stringify(planAsJson(plan, diskBytes), null, 2)}\n` : `${describePlan(plan, recipe, diskBytes).join('\n')}\n`);
      return plan.fits ? 0 : 1;
    }
    const result = await runTraining(recipe, {
      signal,
      onSetup: (message, done, total) => terminal.progress(total === undefined || total === 0 ? message : `${message} ${Math.floor(((done ?? 0) / total) * 100)} %`),
      onPrepare: createPrepareProgress(terminal),
      onEvent: createProgress(terminal),
    });
    terminal.progress(undefined);
    if (result.skipped > 0) terminal.say(`${result.skipped} damaged files were skipped; ${result.folder}/skipped.json lists them.`);
    terminal.say(`${result.status} at step ${result.step}`);
    await terminal.out(flags.json ? `${JSON.stringify(runAsJson(result), null, 2)}\n` : `${result.folder}\n`);
    return 0;
  },
});

/** Decoding takes hours for a large set: how far it is, how fast, and how long it will take. */
function createPrepareProgress(terminal: Terminal): (progress: PrepareProgress) => void {
  const started = new Map<string, number>();
  return ({ split, done, total, skipped }) => {
    const begun = started.get(split) ?? Date.now();
    started.set(split, begun);
    const rate = done / Math.max(0.001, (Date.now() - begun) / 1000);
    terminal.progress(`preparing ${split}: ${done}/${total}${skipped > 0 ? `, ${skipped} damaged` : ''}  ${rate.toFixed(1)}/s  ${formatSeconds((total - done) / Math.max(rate, 1e-9))} left`);
  };
}

/** Draws steps as a progress line with the time left, and says evaluations and failed checkpoints aloud. */
export function createProgress(terminal: Terminal): (event: TrainEvent) => void {
  let total = 0;
  let first: { step: number; time: number } | undefined;
  return (event) => {
    if (event.event === 'started') {
      total = event.total_steps;
      first = { step: event.step, time: event.time };
    }
    if (event.event === 'measured') terminal.progress(`measuring pictures with the frozen encoder: ${event.done}/${event.total}`);
    if (event.event === 'tracker_failed') terminal.say(`${event.tracker} does not answer (${event.message}); the run goes on without it.`);
    if (event.event === 'evaluation') terminal.say(`step ${event.step}: SRCC ${event.srcc?.toFixed(4) ?? '–'}, PLCC ${event.plcc?.toFixed(4) ?? '–'} on ${event.items}`);
    if (event.event === 'checkpoint_failed') terminal.say(`step ${event.step}: the checkpoint could not be written (${event.message}); training goes on.`);
    if (event.event !== 'step' || first === undefined) return;
    const each = (event.time - first.time) / Math.max(1, event.step - first.step);
    const loss = event.loss?.toFixed(4) ?? '–';
    const bar = '█'.repeat(Math.round((event.step / Math.max(1, total)) * 16)).padEnd(16, '░');
    terminal.progress(`${bar} ${event.step}/${total}  loss ${loss}  ${event.images_per_s.toFixed(1)} img/s  ${formatSeconds(each * (total - event.step))} left`);
  };
}

/** 3725 → "1:02:05". */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

import type { EvaluateRecipeInput, TrainRecipeInput } from '../../config/recipe-input.generated.js';
import { evaluate } from '../../recipes/evaluate/evaluate.js';
import { resumeRun, train } from '../../recipes/train/train.js';
import { requireStillInRoot, type Places } from './recipes.js';
import type { RunMethod } from './perform.js';
import type { RunKind } from './store.js';

const EVERY_MS = 500;

/** Trainings and evaluations, as the command line does them. Stored recipes are checked again by what runs them. */
export const createRunMethods = (places: Places): Readonly<Record<RunKind, RunMethod>> => ({
  async run(run, { signal, tell, began }) {
    await requireStillInRoot('run', run.recipe, places);
    const seldom = everyNowAndThen();
    const options = {
      runs: places.runs,
      signal,
      onRun: began,
      onSetup: (message: string, done?: number, total?: number) =>
        seldom(() => tell(Object.assign({ event: 'setup', message }, done === undefined ? {} : { done, total }))),
      onPrepare: ({ split, done, total, skipped }: { split: string; done: number; total: number; skipped: number }) =>
        seldom(() => tell(Object.assign({ event: 'preparing' }, { split, done, total, skipped }))),
      // how it ended is told by the service, which has the last word
      onEvent: (event: { readonly event: string }) => void (event.event === 'end' || tell(event)),
    };
    const result = await (run.folder === undefined
      ? train(run.recipe as unknown as TrainRecipeInput, options)
      : resumeRun(run.folder, options));
    return result.status === 'completed' ? 'completed' : 'stopped';
  },
  async eval(run, { folder, signal, tell }) {
    await requireStillInRoot('eval', run.recipe, places);
    const seldom = everyNowAndThen();
    await evaluate(run.recipe as unknown as EvaluateRecipeInput, {
      out: folder,
      signal,
      onEvent: (event) => (event.event === 'evaluated' ? tell(event) : seldom(() => tell(event))),
    });
    return 'completed';
  },
});

function everyNowAndThen(): (say: () => void) => void {
  let said = -Infinity;
  return (say) => {
    if (performance.now() - said < EVERY_MS) return;
    said = performance.now();
    say();
  };
}

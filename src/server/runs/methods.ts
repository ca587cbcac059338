import type { EvaluateRecipe } from '../../config/evaluate.js';
import type { ServeConfig } from '../../config/serve.js';
import type { TrainRecipe } from '../../config/train.js';
import { evaluate } from '../../recipes/evaluate/evaluate.js';
import { resumeRun, train } from '../../recipes/train/train.js';
import { requireStillInRoot, type Places } from './recipes.js';
import type { RunMethod } from './perform.js';
import { requireAllowed } from './allowed.js';
import type { RunKind, ServiceRunStore } from './store.js';
import { withTrainedModels } from './trained.js';

const EVERY_MS = 500;

export interface RunMethodParts {
  readonly config: ServeConfig;
  readonly places: Omit<Places, 'findTraining'>;
  readonly store: Pick<ServiceRunStore, 'get'>;
}

/**
 * Trainings and evaluations, as the command line does them. Stored recipes are checked again before and by what runs
 * them: the configuration of the service and the files may be others by now.
 */
export const createRunMethods = ({ config, places, store }: RunMethodParts): Readonly<Record<RunKind, RunMethod>> => ({
  async run(run, { signal, tell, began }) {
    const recipe = withTrainedModels(run.recipe, (id) => store.get(id)) as unknown as TrainRecipe;
    await requireAllowed(recipe, config);
    await requireStillInRoot('run', recipe, places);
    const seldom = everyNowAndThen();
    const options = {
      runs: places.runs,
      offline: config.offline,
      signal,
      onRun: began,
      onSetup: (message: string, done?: number, total?: number) =>
        seldom(() => tell(Object.assign({ event: 'setup', message }, done === undefined ? {} : { done, total }))),
      onPrepare: ({ split, done, total, skipped }: { split: string; done: number; total: number; skipped: number }) =>
        seldom(() => tell(Object.assign({ event: 'preparing' }, { split, done, total, skipped }))),
      // how it ended is told by the service, which has the last word
      onEvent: (event: { readonly event: string }) => void (event.event === 'end' || tell(event)),
    };
    const result = await (run.folder === undefined ? train(recipe, options) : resumeRun(run.folder, options));
    return result.status === 'completed' ? 'completed' : 'stopped';
  },
  async eval(run, { folder, signal, tell }) {
    const recipe = withTrainedModels(run.recipe, (id) => store.get(id)) as unknown as EvaluateRecipe;
    await requireStillInRoot('eval', recipe, places);
    const seldom = everyNowAndThen();
    await evaluate(
      { ...recipe, offline: recipe.offline || config.offline },
      {
        out: folder,
        signal,
        onEvent: (event) => (event.event === 'evaluated' ? tell(event) : seldom(() => tell(event))),
      },
    );
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

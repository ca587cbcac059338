import { join } from 'node:path';
import type { EvaluateRecipe } from '../../config/evaluate.js';
import type { ServeConfig } from '../../config/serve.js';
import type { TrainRecipe } from '../../config/train.js';
import type { DecodeBudget } from '../../media/budget/decode-budget.js';
import type { MediaLimits } from '../../media/limits.js';
import { evaluate } from '../../recipes/evaluate/evaluate.js';
import { createScorer } from '../../recipes/score/create-scorer.js';
import { resumeRun, train } from '../../recipes/train/train.js';
import { readReach } from '../http/path-root.js';
import { mediaLimits } from '../score/request-source.js';
import { holdModels, type HeldModels } from './held-models.js';
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
  /** Memory for decoding pictures, shared with the models of the service. */
  readonly decodeBudget: DecodeBudget;
  /** Functions that perform the runs; tests replace them. */
  readonly recipes?: typeof RECIPES;
}

const RECIPES = { train, resumeRun, evaluate };

/**
 * Performs trainings and evaluations like the command line, within the limits of the service. A stored recipe is
 * checked again before it is performed, because the configuration and the files can have changed. Each file is then
 * opened once, and the location of the opened file is checked.
 */
export const createRunMethods = ({
  config,
  places,
  store,
  decodeBudget,
  recipes: { train, resumeRun, evaluate } = RECIPES,
}: RunMethodParts): Readonly<Record<RunKind, RunMethod>> => ({
  async run(run, { folder, signal, tell, began }) {
    const recipe = withTrainedModels(run.recipe, (id) => store.get(id)) as unknown as TrainRecipe;
    await requireAllowed(recipe, config);
    await requireStillInRoot('run', recipe, places);
    const seldom = everyNowAndThen();
    const { limits, models } = await hold(recipe, folder, { config, places });
    const options = {
      runs: places.runs,
      offline: config.offline,
      limits,
      decodeBudget,
      held: models.held,
      signal,
      onRun: began,
      onSetup: (message: string, done?: number, total?: number) =>
        seldom(() => tell(Object.assign({ event: 'setup', message }, done === undefined ? {} : { done, total }))),
      onPrepare: ({ split, done, total, skipped }: { split: string; done: number; total: number; skipped: number }) =>
        seldom(() => tell(Object.assign({ event: 'preparing' }, { split, done, total, skipped }))),
      // the service itself sends the last event
      onEvent: (event: { readonly event: string }) => void (event.event === 'end' || tell(event)),
    };
    const performed = run.folder === undefined ? train(recipe, options) : resumeRun(run.folder, options);
    const result = await performed.finally(models.close);
    return result.status === 'completed' ? 'completed' : 'stopped';
  },
  async eval(run, { folder, signal, tell }) {
    const recipe = withTrainedModels(run.recipe, (id) => store.get(id)) as unknown as EvaluateRecipe;
    await requireStillInRoot('eval', recipe, places);
    const seldom = everyNowAndThen();
    const { limits, models } = await hold(recipe, folder, { config, places });
    await evaluate(
      { ...recipe, offline: recipe.offline || config.offline },
      {
        out: folder,
        signal,
        limits,
        createScorer: (asked) => createScorer({ ...asked, decodeBudget, held: models.held }),
        onEvent: (event) => (event.event === 'evaluated' ? tell(event) : seldom(() => tell(event))),
      },
    ).finally(models.close);
    return 'completed';
  },
});

/** Opens the model folders of a recipe. Also returns the decoding limits with the allowed location of files. */
async function hold(
  recipe: TrainRecipe | EvaluateRecipe,
  folder: string,
  { config, places }: Pick<RunMethodParts, 'config' | 'places'>,
): Promise<{ limits: MediaLimits; models: HeldModels }> {
  const within = await readReach(places);
  const models = holdModels(recipe, { into: join(folder, 'held'), reach: within, runs: places.runs });
  return { limits: { ...mediaLimits(config), within }, models };
}

function everyNowAndThen(): (say: () => void) => void {
  let said = -Infinity;
  return (say) => {
    if (performance.now() - said < EVERY_MS) return;
    said = performance.now();
    say();
  };
}

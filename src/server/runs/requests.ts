import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { keyOf } from '../http/idempotency.js';
import { idOf } from '../../api/ids.js';
import { EvaluationBody, TrainRunBody } from '../../api/runs.js';
import type { EvaluateRecipe } from '../../config/evaluate.js';
import type { TrainRecipe } from '../../config/train.js';
import { checkReady, describeMissing } from '../../recipes/evaluate/ready.js';
import type { Caller } from '../http/caller.js';
import { isVisible, visibleOwner } from '../http/client-key.js';
import { readJson } from '../http/json-body.js';
import { readReach } from '../http/path-root.js';
import type { SharedMemory } from '../http/memory-budget.js';
import type { Redactor } from '../http/redact-paths.js';
import { streamEvents } from '../http/sse.js';
import { requireStillInRoot, resolveEvaluation, resolveTraining, type Places } from './recipes.js';
import type { RunQueue } from './queue.js';
import type { ServiceRun, RunKind, ServiceRunStore } from './store.js';
import { trainingsOf, withTrainedModels } from './trained.js';

/** Dependencies of accepting trainings and evaluations. */
export interface RunServices extends Redactor {
  readonly config: ServeConfig;
  readonly memory: SharedMemory;
  readonly runQueue: RunQueue;
  readonly runStore: ServiceRunStore;
  /** Files and directories that requests can name. */
  readonly places: Omit<Places, 'findTraining'>;
  readonly ending: AbortSignal;
}

/** The recipe of a training request. */
export async function readTraining(call: Caller, services: RunServices): Promise<TrainRecipe> {
  const { config, redactError } = services;
  const body = await readJson(call, TrainRunBody, services);
  const recipe = await resolveTraining(body, placesOf(call, services), config).catch(redactError);
  if (waitsFor(recipe, services) === undefined) withTrainedModels(recipe, (id) => services.runQueue.current(id));
  return recipe;
}

/** A training that must end before this recipe can be performed. */
const waitsFor = (recipe: object, { runQueue }: Pick<RunServices, 'runQueue'>): string | undefined =>
  trainingsOf(recipe).find((id) => runQueue.isActive(id));

/** Trainings of other keys are hidden. */
const placesOf = ({ client }: Pick<Caller, 'client'>, { places, runQueue }: RunServices): Places => ({
  ...places,
  findTraining(id) {
    const run = runQueue.current(id);
    return run?.kind === 'run' && isVisible(run, client) ? run : undefined;
  },
});

/** The recipe of an evaluation request. @throws QalignError EVALUATION_NOT_READY with a list of what is missing */
export async function readEvaluation(call: Caller, services: RunServices): Promise<EvaluateRecipe> {
  const { runQueue, redactError } = services;
  const body = await readJson(call, EvaluationBody, services);
  const recipe = await resolveEvaluation(body, placesOf(call, services)).catch(redactError);
  const waits = waitsFor(recipe, services) !== undefined;
  const known = waits ? recipe : withTrainedModels(recipe, (id) => runQueue.current(id));
  const { missing } = await checkReady(known, { model: !waits, within: await readReach(services.places) }).catch(
    redactError,
  );
  if (missing.length > 0)
    await redactError(
      new QalignError(
        'EVALUATION_NOT_READY',
        `${recipe.name} cannot be evaluated on this machine:\n${describeMissing(missing)}`,
      ),
    );
  return recipe;
}

/**
 * Accepts a training or evaluation. It is in the store before this returns. With an Idempotency-Key, a repeated request
 * finds the first run.
 */
export function createServiceRun(
  call: Caller,
  services: RunServices,
  kind: RunKind,
  recipe: { readonly name: string },
): { run: ServiceRun; replayed: boolean } {
  const { runQueue, runStore } = services;
  const id = idOf(kind, keyOf(call));
  const waits = waitsFor(recipe, services);
  const fingerprint = createHash('sha256').update(JSON.stringify(recipe)).digest('hex');
  const known = runQueue.current(id);
  if (known !== undefined) {
    if (known.fingerprint === fingerprint) return { run: known, replayed: true };
    throw new QalignError(
      'IDEMPOTENCY_CONFLICT',
      `This Idempotency-Key belongs to ${known.id}, which has another recipe; use a new key for each.`,
    );
  }
  const run: ServiceRun = {
    id,
    kind,
    owner: call.client.id,
    name: recipe.name,
    status: 'queued',
    recipe: { ...recipe },
    fingerprint,
    folder: undefined,
    message: waits === undefined ? undefined : `It waits for the end of ${waits}.`,
    createdAt: Date.now() / 1000,
    finishedAt: undefined,
  };
  runStore.insert(run);
  runQueue.submit(run);
  return { run, replayed: false };
}

/** @throws QalignError RUN_NOT_FOUND, also for a run of another key */
export function findServiceRun(call: Caller<{ id: string }>, { runQueue }: RunServices): ServiceRun {
  const run = runQueue.current(call.params.id);
  if (run === undefined || !isVisible(run, call.client))
    throw new QalignError(
      'RUN_NOT_FOUND',
      `There is no run ${call.params.id}; GET /v1/train_runs and GET /v1/evaluations list yours.`,
    );
  return run;
}

/** Runs of this key, newest first; all runs for admin. */
export function listServiceRuns(
  call: Caller<unknown, { limit?: number; offset?: number; status?: ServiceRun['status'] }>,
  { runQueue, runStore }: RunServices,
  kind: RunKind,
): ServiceRun[] {
  const { limit = 50, offset = 0, status } = call.query;
  return runStore
    .list({ kind, owner: visibleOwner(call.client), status, limit, offset })
    .map((run) => runQueue.current(run.id) ?? run);
}

/**
 * Resumes a stopped, interrupted or failed run. @throws QalignError RUN_ACTIVE, RUN_NOT_FOUND, PATH_FORBIDDEN,
 * SHUTTING_DOWN
 */
export async function resumeServiceRun(call: Caller<{ id: string }>, services: RunServices): Promise<ServiceRun> {
  const { runQueue, runStore, ending, places, redactError } = services;
  const { kind, recipe } = findServiceRun(call, services);
  await requireStillInRoot(kind, recipe, places).catch(redactError);
  const run = findServiceRun(call, services); // The configuration and the files can have changed since then.
  if (ending.aborted) throw new QalignError('SHUTTING_DOWN', 'The service is shutting down; try again later.');
  if (runQueue.isActive(run.id))
    throw new QalignError('RUN_ACTIVE', `${run.id} is ${run.status}; there is nothing to resume.`);
  if (run.status === 'completed') return run;
  Object.assign(run, { status: 'queued', message: undefined, finishedAt: undefined });
  runStore.save(run);
  runQueue.submit(run);
  return run;
}

/** Events of a run as they are written, until it ends. */
export function followServiceRun(call: Caller<{ id: string }>, services: RunServices): Promise<void> {
  const { runQueue, ending } = services;
  const { id } = findServiceRun(call, services);
  const file = join(runQueue.folder(id), 'events.jsonl');
  return streamEvents(call, { file, ended: () => !runQueue.isActive(id), ending });
}

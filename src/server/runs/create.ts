import { createHash } from 'node:crypto';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { keyOf } from '../http/idempotency.js';
import { idOf } from '../../api/ids.js';
import type { Caller } from '../http/caller.js';
import type { Redactor } from '../http/redact-paths.js';
import { requireStillInRoot, type Places } from './recipes.js';
import type { RunQueue } from './queue.js';
import type { ServiceRun, RunKind, ServiceRunStore } from './store.js';

/** What trainings and evaluations take. */
export interface RunServices extends Redactor {
  readonly config: ServeConfig;
  readonly runQueue: RunQueue;
  readonly runStore: ServiceRunStore;
  /** What requests may name on the disk. */
  readonly places: Places;
  readonly ending: AbortSignal;
}

/**
 * Accepts a training or evaluation: it lies in the store before this returns. With an Idempotency-Key a repeated
 * request finds the first.
 */
export function createServiceRun(
  call: Caller,
  { runQueue, runStore }: RunServices,
  kind: RunKind,
  name: string,
  recipe: object,
): { run: ServiceRun; replayed: boolean } {
  const key = keyOf(call);
  const id = idOf(kind, key);
  const fingerprint = createHash('sha256').update(JSON.stringify(recipe)).digest('hex');
  const known = runQueue.current(id);
  if (known !== undefined) {
    if (known.fingerprint === fingerprint) return { run: known, replayed: true };
    throw new QalignError(
      'IDEMPOTENCY_CONFLICT',
      `This Idempotency-Key made ${known.id} of another recipe; make a new one for each.`,
    );
  }
  const run: ServiceRun = {
    id,
    kind,
    owner: call.client.name,
    name,
    status: 'queued',
    recipe: recipe as Record<string, unknown>,
    fingerprint,
    folder: undefined,
    message: undefined,
    createdAt: Date.now() / 1000,
    finishedAt: undefined,
  };
  runStore.insert(run);
  runQueue.submit(run);
  return { run, replayed: false };
}

/** ServiceRun of another key does not exist for this one. */
export function findServiceRun(call: Caller<{ id: string }>, { runQueue }: RunServices): ServiceRun {
  const run = runQueue.current(call.params.id);
  if (run === undefined || (run.owner !== call.client.name && !call.client.scopes.includes('admin')))
    throw new QalignError('RUN_NOT_FOUND', `There is no ${call.params.id}; GET the list to see yours.`);
  return run;
}

/** Those of this key, newest first; all of them for admin. */
export function listServiceRuns(
  call: Caller<unknown, { limit?: number; offset?: number; status?: ServiceRun['status'] }>,
  { runQueue, runStore }: RunServices,
  kind: RunKind,
): ServiceRun[] {
  const { limit = 50, offset = 0, status } = call.query;
  const owner = call.client.scopes.includes('admin') ? undefined : call.client.name;
  return runStore.list({ kind, owner, status, limit, offset }).map((run) => runQueue.current(run.id) ?? run);
}

/**
 * Goes on with what was stopped, interrupted or failed. @throws QalignError RUN_ACTIVE, RUN_NOT_FOUND, PATH_FORBIDDEN
 */
export async function resumeServiceRun(call: Caller<{ id: string }>, services: RunServices): Promise<ServiceRun> {
  const { runQueue, runStore, ending, places, redactError } = services;
  const { kind, recipe } = findServiceRun(call, services);
  await requireStillInRoot(kind, recipe, places).catch(redactError);
  const run = findServiceRun(call, services);
  if (ending.aborted) throw new QalignError('SHUTTING_DOWN', 'The service is ending; try again later.');
  if (runQueue.isActive(run.id))
    throw new QalignError('RUN_ACTIVE', `${run.id} is ${run.status}; there is nothing to resume.`);
  if (run.status === 'completed') return run;
  Object.assign(run, { status: 'queued', message: undefined, finishedAt: undefined });
  runStore.save(run);
  runQueue.submit(run);
  return run;
}

/** For lists and single answers alike. */
export const common = ({
  id,
  name,
  status,
  message,
  createdAt,
  finishedAt,
}: ServiceRun): {
  id: string;
  name: string;
  status: ServiceRun['status'];
  message: string | null;
  created_at: number;
  finished_at: number | null;
} => ({
  id,
  name,
  status,
  message: message ?? null,
  created_at: createdAt,
  finished_at: finishedAt ?? null,
});

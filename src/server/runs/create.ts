import { createHash } from 'node:crypto';
import { QalignError } from '../../base/errors.js';
import { keyOf } from '../http/idempotency.js';
import { idOf } from '../../api/ids.js';
import type { Call } from '../route.js';
import { requireStillInRoot } from './recipes.js';
import type { ServiceRun, RunKind } from './store.js';

/**
 * Accepts a training or evaluation: it lies in the store before this returns. With an Idempotency-Key a repeated
 * request finds the first.
 */
export function createServiceRun(
  call: Call,
  kind: RunKind,
  name: string,
  recipe: object,
): { run: ServiceRun; replayed: boolean } {
  const { runQueue, runStore } = call.services;
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

/** A run of another key does not exist for this one. */
export function findServiceRun(call: Call<{ id: string }>): ServiceRun {
  const run = call.services.runQueue.current(call.params.id);
  if (run === undefined || (run.owner !== call.client.name && !call.client.scopes.includes('admin')))
    throw new QalignError('RUN_NOT_FOUND', `There is no ${call.params.id}; GET the list to see yours.`);
  return run;
}

/** Those of this key, newest first; all of them for admin. */
export function listServiceRuns(
  call: Call<unknown, { limit?: number; offset?: number; status?: ServiceRun['status'] }>,
  kind: RunKind,
): ServiceRun[] {
  const { runQueue, runStore } = call.services;
  const { limit = 50, offset = 0, status } = call.query;
  const owner = call.client.scopes.includes('admin') ? undefined : call.client.name;
  return runStore.list({ kind, owner, status, limit, offset }).map((run) => runQueue.current(run.id) ?? run);
}

/**
 * Goes on with what was stopped, interrupted or failed. @throws QalignError RUN_ACTIVE, RUN_NOT_FOUND, PATH_FORBIDDEN
 */
export async function resumeServiceRun(call: Call<{ id: string }>): Promise<ServiceRun> {
  const { runQueue, runStore, ending, places, hidden } = call.services;
  const { kind, recipe } = findServiceRun(call);
  await requireStillInRoot(kind, recipe, places).catch(hidden);
  const run = findServiceRun(call);
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

import { createHash } from 'node:crypto';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { keyOf } from '../http/idempotency.js';
import { idOf } from '../../api/ids.js';
import type { Caller } from '../http/caller.js';
import type { Redactor } from '../http/redact-paths.js';
import { requireStillInRoot, type Places } from './recipes.js';
import type { WorkRunner } from './runner.js';
import type { Work, WorkKind, WorkStore } from './store.js';

/** What trainings and evaluations take. */
export interface RunServices extends Redactor {
  readonly config: ServeConfig;
  readonly works: WorkRunner;
  readonly workStore: WorkStore;
  /** What requests may name on the disk. */
  readonly places: Places;
  readonly ending: AbortSignal;
}

/**
 * Accepts a training or evaluation: it lies in the store before this returns. With an Idempotency-Key a repeated
 * request finds the first.
 */
export function createWork(
  call: Caller,
  { works, workStore }: RunServices,
  kind: WorkKind,
  name: string,
  recipe: object,
): { work: Work; replayed: boolean } {
  const key = keyOf(call);
  const id = idOf(kind, key);
  const fingerprint = createHash('sha256').update(JSON.stringify(recipe)).digest('hex');
  const known = works.current(id);
  if (known !== undefined) {
    if (known.fingerprint === fingerprint) return { work: known, replayed: true };
    throw new QalignError(
      'IDEMPOTENCY_CONFLICT',
      `This Idempotency-Key made ${known.id} of another recipe; make a new one for each.`,
    );
  }
  const work: Work = {
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
  workStore.insert(work);
  works.submit(work);
  return { work, replayed: false };
}

/** Work of another key does not exist for this one. */
export function findWork(call: Caller<{ id: string }>, { works }: RunServices): Work {
  const work = works.current(call.params.id);
  if (work === undefined || (work.owner !== call.client.name && !call.client.scopes.includes('admin')))
    throw new QalignError('RUN_NOT_FOUND', `There is no ${call.params.id}; GET the list to see yours.`);
  return work;
}

/** Those of this key, newest first; all of them for admin. */
export function listWork(
  call: Caller<unknown, { limit?: number; offset?: number; status?: Work['status'] }>,
  { works, workStore }: RunServices,
  kind: WorkKind,
): Work[] {
  const { limit = 50, offset = 0, status } = call.query;
  const owner = call.client.scopes.includes('admin') ? undefined : call.client.name;
  return workStore.list({ kind, owner, status, limit, offset }).map((work) => works.current(work.id) ?? work);
}

/**
 * Goes on with what was stopped, interrupted or failed. @throws QalignError RUN_ACTIVE, RUN_NOT_FOUND, PATH_FORBIDDEN
 */
export async function resumeWork(call: Caller<{ id: string }>, services: RunServices): Promise<Work> {
  const { works, workStore, ending, places, redactError } = services;
  const { kind, recipe } = findWork(call, services);
  await requireStillInRoot(kind, recipe, places).catch(redactError);
  const work = findWork(call, services);
  if (ending.aborted) throw new QalignError('SHUTTING_DOWN', 'The service is ending; try again later.');
  if (works.isActive(work.id))
    throw new QalignError('RUN_ACTIVE', `${work.id} is ${work.status}; there is nothing to resume.`);
  if (work.status === 'completed') return work;
  Object.assign(work, { status: 'queued', message: undefined, finishedAt: undefined });
  workStore.save(work);
  works.submit(work);
  return work;
}

/** For lists and single answers alike. */
export const common = ({
  id,
  name,
  status,
  message,
  createdAt,
  finishedAt,
}: Work): {
  id: string;
  name: string;
  status: Work['status'];
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

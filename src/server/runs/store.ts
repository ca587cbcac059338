import type { Db } from '../../base/files/sqlite.js';
import type { ServiceRunStatus } from '../../api/runs.js';
import { openServiceTable, type Page } from '../service-table.js';

export type RunKind = 'run' | 'eval';

/**
 * A training or evaluation that the service was asked for. Not the run directory of src/runs, which a training makes
 * and which outlives it. The table is still called works, for databases of earlier versions.
 */
export interface ServiceRun {
  readonly id: string;
  readonly kind: RunKind;
  readonly owner: string;
  readonly name: string;
  status: ServiceRunStatus;
  /** The whole recipe, as it was resolved when the run was accepted. */
  readonly recipe: Record<string, unknown>;
  readonly fingerprint: string;
  /** Of a training: its run directory, once there is one. */
  folder: string | undefined;
  message: string | undefined;
  readonly createdAt: number;
  finishedAt: number | undefined;
}

export interface ServiceRunStore {
  insert(run: ServiceRun): void;
  save(run: ServiceRun): void;
  get(id: string): ServiceRun | undefined;
  /** Newest first. */
  list(
    filter: Page & {
      readonly kind: RunKind;
      readonly owner: string | undefined;
      readonly status: ServiceRunStatus | undefined;
    },
  ): ServiceRun[];
  /** What an earlier process left. */
  unfinished(): ServiceRun[];
}

interface Row {
  readonly id: string;
  readonly kind: RunKind;
  readonly owner: string;
  readonly name: string;
  readonly status: ServiceRunStatus;
  readonly recipe: string;
  readonly fingerprint: string;
  readonly folder: string | null;
  readonly message: string | null;
  readonly created_at: number;
  readonly finished_at: number | null;
}

export function createServiceRunStore(database: Db): ServiceRunStore {
  const table = openServiceTable(database, 'works', { toRow, fromRow });
  return {
    insert: (run) => table.insert(run),
    save: (run) => table.update(run, ['status', 'folder', 'message', 'finished_at']),
    get: (id) => table.get(id),
    list: ({ kind, owner, status, ...page }) => table.list({ kind, owner, status }, page),
    unfinished: () => table.inStatus('queued', 'running'),
  };
}

const toRow = ({ createdAt, finishedAt, recipe, folder, message, ...rest }: ServiceRun): Row => ({
  ...rest,
  recipe: JSON.stringify(recipe),
  folder: folder ?? null,
  message: message ?? null,
  created_at: createdAt,
  finished_at: finishedAt ?? null,
});

const fromRow = ({ created_at, finished_at, recipe, folder, message, ...rest }: Row): ServiceRun => ({
  ...rest,
  recipe: JSON.parse(recipe) as ServiceRun['recipe'],
  folder: folder ?? undefined,
  message: message ?? undefined,
  createdAt: created_at,
  finishedAt: finished_at ?? undefined,
});

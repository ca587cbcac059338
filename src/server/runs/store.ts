import type { Db } from '../../base/files/sqlite.js';
import type { ServiceRunStatus } from '../../api/runs.js';
import { openServiceTable, type Page } from '../service-table.js';

export type RunKind = 'run' | 'eval';

/**
 * A training or evaluation requested from the service. It is not the run directory of src/runs, which a training
 * creates and which remains. The table is named works, as in databases of earlier versions.
 */
export interface ServiceRun {
  readonly id: string;
  readonly kind: RunKind;
  readonly owner: string;
  readonly name: string;
  status: ServiceRunStatus;
  /** Complete recipe, as resolved when the run was accepted. */
  readonly recipe: Record<string, unknown>;
  readonly fingerprint: string;
  /** Run directory of a training, once it exists. */
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
  /** The latest training that made this run directory. */
  inFolder(folder: string): ServiceRun | undefined;
  /** Unfinished runs of an earlier process. */
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
    inFolder: (folder) => table.list({ kind: 'run', folder }, { limit: 1, offset: 0 })[0],
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

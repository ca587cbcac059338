import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Evaluation, ServiceRunStatus, TrainRun } from '../../api/runs.js';
import { QalignError } from '../../base/errors.js';
import { createCurveReader } from '../../runs/run-curves.js';
import { activePid, readEvents, summarise } from '../../runs/run-directory.js';
import type { Caller } from '../http/caller.js';
import { evaluationResult } from '../runs/answers.js';
import type { StoredRuns } from '../runs/stored.js';

/** Folders of runs or evaluations on this machine, as the HTTP API shows them. */
export interface StoredFolders {
  readonly stored: StoredRuns;
  trainings(): Promise<TrainRun[]>;
  training(id: string): Promise<TrainRun>;
  evaluations(): Promise<Evaluation[]>;
  evaluation(id: string): Promise<Evaluation>;
  /** Whether a process trains the run now. */
  isActive(id: string): Promise<boolean>;
}

export function createStoredFolders(kind: 'run' | 'evaluation', folders: readonly string[]): StoredFolders {
  const prefix = kind === 'run' ? 'run' : 'eval';
  const byId = new Map(folders.map((folder) => [idOfFolder(prefix, folder), folder]));
  const find = (id: string): string => {
    const folder = byId.get(id);
    if (folder === undefined)
      throw new QalignError('RUN_NOT_FOUND', `There is no ${id} here; name it when you start "qalign view".`);
    return folder;
  };
  const all = <T>(read: (id: string, folder: string) => Promise<T>): Promise<T[]> =>
    Promise.all([...byId].map(([id, folder]) => read(id, folder)));
  return {
    stored: {
      redact: (value) => value,
      redactError: async (error) => {
        throw error;
      },
      curves: createCurveReader(),
      eventsFile: (call: Caller<{ id: string }>) => join(find(call.params.id), 'events.jsonl'),
      evaluation: async (call) => ({ folder: find(call.params.id) }),
    },
    trainings: () => all(trainingOf),
    training: async (id) => ({ ...(await trainingOf(id, find(id))), recipe: await recipeOf(find(id)) }),
    evaluations: () => all(evaluationOf),
    evaluation: (id) => evaluationOf(id, find(id)),
    isActive: async (id) => (await activePid(find(id))) !== undefined,
  };
}

/** The same for the same folder, so that an address of the page stays valid. */
const idOfFolder = (prefix: string, folder: string): string =>
  `${prefix}_${createHash('sha256').update(folder).digest('hex').slice(0, 24)}`;

const recipeOf = async (folder: string): Promise<object> =>
  JSON.parse(await readFile(join(folder, 'recipe.json'), 'utf8')) as object;

async function trainingOf(id: string, folder: string): Promise<TrainRun> {
  const { name, status, startedAt, step, totalSteps, loss, srcc, plcc } = await summarise(folder);
  const end = (await readEvents(folder)).findLast(({ event }) => event === 'end');
  const created = startedAt ?? (await stat(folder)).ctimeMs / 1000;
  const isOver = status !== 'running' && status !== 'prepared';
  return {
    id,
    name,
    status: status === 'prepared' ? 'queued' : (status satisfies ServiceRunStatus),
    message: end?.event === 'end' ? (end.message ?? null) : null,
    created_at: created,
    finished_at: isOver ? (end?.time ?? created) : null,
    run: basename(folder),
    step,
    total_steps: totalSteps ?? null,
    loss: loss ?? null,
    srcc: srcc ?? null,
    plcc: plcc ?? null,
  };
}

async function evaluationOf(id: string, folder: string): Promise<Evaluation> {
  const file = join(folder, 'evaluation.json');
  const { name, recipe } = JSON.parse(await readFile(file, 'utf8')) as { name: string; recipe: object };
  const { mtimeMs } = await stat(file);
  return {
    id,
    name,
    status: 'completed',
    message: null,
    created_at: mtimeMs / 1000,
    finished_at: mtimeMs / 1000,
    result: await evaluationResult(folder),
    recipe,
  };
}

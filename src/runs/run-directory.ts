/** The boundary of src/runs: directories of trainings and an index of them; it trains nothing and serves no one. */
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { Check } from 'typebox/value';
import { TrainEvent } from '../../bridge/protocol/train.js';
import { startOf } from '../../bridge/process.js';
import { QalignError } from '../base/errors.js';
import { draftOf } from '../base/files/draft.js';
import { followLines } from '../base/files/lines.js';
import { makeFolder } from '../base/files/unwritable.js';
import { writeWhole } from '../base/files/whole-file.js';

/**
 * A run is its directory: `recipe.json` (resolved), `environment.json`, `events.jsonl`, `checkpoints/`, `model/`,
 * `log.txt`, and `pid` while it is being trained. Everything else that shows runs can be rebuilt from these.
 */
export type RunStatus = 'prepared' | 'running' | 'completed' | 'stopped' | 'failed' | 'interrupted';

export interface RunSummary {
  /** Name of its directory. */
  readonly id: string;
  /** Name of its recipe. */
  readonly name: string;
  /** How it stands. */
  readonly status: RunStatus;
  /** Start in seconds since 1970. */
  readonly startedAt: number | undefined;
  /** Updates so far. */
  readonly step: number;
  /** Updates of the whole run. */
  readonly totalSteps: number | undefined;
  /** Loss of the last update. */
  readonly loss: number | undefined;
  /** SRCC of the last evaluation on the dev split. */
  readonly srcc: number | undefined;
  /** PLCC of the last evaluation on the dev split. */
  readonly plcc: number | undefined;
}

export const runsRoot = (): string => resolve(process.env['QALIGN_RUNS'] ?? 'runs');

/** Makes the folder of all runs. @throws QalignError OUTPUT_UNWRITABLE */
export const requireRunsFolder = (root: string): Promise<void> =>
  makeFolder(root, 'name one that can be written: QALIGN_RUNS, or runs_dir of a service');

/** Makes a new run directory and writes what was resolved. The name gets a number when it is taken. */
export async function createRun(root: string, name: string, recipe: object, environment: object): Promise<string> {
  await requireRunsFolder(root);
  for (let number = 1; ; number += 1) {
    const folder = join(root, number === 1 ? name : `${name}-${number}`);
    try {
      await mkdir(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw new QalignError(
        'OUTPUT_UNWRITABLE',
        `The run directory ${folder} cannot be made: ${(error as Error).message}.`,
        { cause: error },
      );
    }
    await writeWhole(join(folder, 'environment.json'), `${JSON.stringify(environment, null, 2)}\n`);
    await writeWhole(join(folder, 'recipe.json'), `${JSON.stringify(recipe, null, 2)}\n`);
    return folder;
  }
}

/** The folder of a run named by its id or its path. */
export function findRun(root: string, id: string): string {
  for (const folder of [join(root, id), resolve(id)]) if (existsSync(join(folder, 'recipe.json'))) return folder;
  throw new QalignError('RUN_NOT_FOUND', `There is no run ${id} in ${root}; "qalign runs list" shows what there is.`);
}

/** The run below `root` that resolved to the same recipe and data, if there is one. */
export async function findSameRun(root: string, resolved: object): Promise<string | undefined> {
  const wanted = JSON.stringify(resolved, null, 2);
  for (const folder of await listRunFolders(root))
    if ((await readFile(join(folder, 'recipe.json'), 'utf8')).trimEnd() === wanted) return folder;
  return undefined;
}

export async function listRunFolders(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && existsSync(join(root, entry.name, 'recipe.json')))
    .map((entry) => join(root, entry.name))
    .sort();
}

/** All whole events of a run. A line torn by a kill is skipped; later ones follow on a line of their own. */
export async function readEvents(folder: string): Promise<TrainEvent[]> {
  const text = await readFile(join(folder, 'events.jsonl'), 'utf8').catch(() => '');
  return text.split('\n').flatMap(parseEvent);
}

export function parseEvent(line: string): TrainEvent[] {
  try {
    const value: unknown = JSON.parse(line);
    return Check(TrainEvent, value) ? [value] : [];
  } catch {
    return [];
  }
}

/** Follows events.jsonl from byte `offset` until `ended()` says that nobody writes any more. */
export async function* followEvents(
  folder: string,
  ended: () => boolean,
  signal?: AbortSignal,
  offset = 0,
): AsyncGenerator<TrainEvent> {
  for await (const { text } of followLines(join(folder, 'events.jsonl'), ended, signal, offset))
    yield* parseEvent(text);
}

/** The process that trains a run now, if there is one. */
export async function activePid(folder: string): Promise<number | undefined> {
  const [number, started] = (await readFile(join(folder, 'pid'), 'utf8').catch(() => '')).split(' ');
  const pid = Number(number);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const start = startOf(pid); // after a restart of the machine or its container another process may have the number
  return start !== '' && (started === undefined || started === start) ? pid : undefined;
}

/** Says that process `pid` trains the run. */
export function writePid(folder: string, pid: number): void {
  const file = join(folder, 'pid');
  const draft = draftOf(file).path;
  writeFileSync(draft, `${pid} ${startOf(pid)}`);
  renameSync(draft, file);
}

/** Asks a run to end after its step, with a checkpoint. */
export const requestStop = (folder: string): Promise<void> => writeFile(join(folder, 'stop'), '');
export const clearStop = (folder: string): Promise<void> => rm(join(folder, 'stop'), { force: true });

export async function summarise(folder: string): Promise<RunSummary> {
  const id = basename(folder);
  const name = await readFile(join(folder, 'recipe.json'), 'utf8')
    .then(
      (text) => (JSON.parse(text) as { name: string }).name,
      () => id,
    )
    .catch(() => id);
  const events = await readEvents(folder);
  const lastOf = <E extends TrainEvent['event']>(kind: E) =>
    events.findLast((event): event is Extract<TrainEvent, { event: E }> => event.event === kind);
  const [started, step, evaluation] = [lastOf('started'), lastOf('step'), lastOf('evaluation')];
  const tail = events.at(-1);
  const status: RunStatus =
    (await activePid(folder)) !== undefined
      ? 'running'
      : events.length === 0
        ? 'prepared'
        : tail?.event === 'end'
          ? tail.status
          : 'interrupted';
  return {
    id,
    name,
    status,
    startedAt: events[0]?.time,
    step: step?.step ?? 0,
    totalSteps: started?.total_steps,
    loss: step?.loss ?? undefined,
    srcc: evaluation?.srcc ?? undefined,
    plcc: evaluation?.plcc ?? undefined,
  };
}

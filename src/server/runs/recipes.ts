import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { EvaluateRecipe } from '../../config/evaluate.js';
import { checkConfig, loadConfig } from '../../config/load.js';
import { modelNames } from '../../config/models.js';
import { TrainRecipe } from '../../config/train.js';
import { QalignError } from '../../base/errors.js';
import { wholeLines } from '../../base/files/lines.js';
import { isBelow, isInReach, openWithin, type Reach } from '../../base/files/reach.js';
import { packageRoot } from '../../base/package-root.js';
import { readLines } from '../../datasets/read/text.js';
import { readReach, resolveInRoot, type FileRules } from '../http/path-root.js';
import type { EvaluationBody, TrainRunBody } from '../../api/runs.js';
import { requireAllowed, type TrainingRules } from './allowed.js';
import type { RunKind, ServiceRun } from './store.js';
import { trainingOf } from './trained.js';

/** Locations that a request can use: below the root, and the models of runs. */
export interface Places extends FileRules {
  readonly runs: string;
  /** Returns a training by its id, if the client has access to it. */
  readonly findTraining: (id: string) => ServiceRun | undefined;
}

/**
 * Returns the complete recipe of a training request, with every path resolved. @throws QalignError CONFIG_*,
 * PATH_FORBIDDEN, MEDIA_NOT_FOUND, RUN_NOT_FOUND
 */
export async function resolveTraining(body: TrainRunBody, places: Places, rules: TrainingRules): Promise<TrainRecipe> {
  const base =
    body.config === undefined
      ? {}
      : await loadConfig(TrainRecipe, join(packageRoot, 'configs/train', `${body.config}.yaml`));
  const recipe = checkConfig(TrainRecipe, merge(base, body.recipe), 'The recipe') as TrainRecipe;
  if (recipe.hosts !== 1 || recipe.rendezvous !== null)
    throw new QalignError(
      'CONFIG_INVALID',
      'The service trains only on its own host; set hosts to 1 and rendezvous to null, or use "qalign train".',
    );
  await requireAllowed(recipe, rules);
  recipe.prompts.forEach(requireName);
  const { data } = recipe;
  const media = data.root === null ? null : await resolveInRoot(places, data.root, 'folder');
  const [train, dev] = await Promise.all(
    [data.train, data.dev].map((files) => Promise.all(files.map((file) => resolveInRoot(places, file)))),
  );
  const resolved = {
    ...recipe,
    model: await resolveModel(recipe.model, places),
    base: recipe.base === null ? null : await resolveModel(recipe.base, places),
    encoder_weights: recipe.encoder_weights === null ? null : await resolveInRoot(places, recipe.encoder_weights),
    data: { ...data, train: train ?? [], dev: dev ?? [], root: media },
  };
  await requireStillInRoot('run', resolved, places);
  return resolved;
}

/** Returns the complete recipe of an evaluation request. @throws as `resolveTraining` */
export async function resolveEvaluation(body: EvaluationBody, places: Places): Promise<EvaluateRecipe> {
  const base =
    body.config === undefined
      ? {}
      : await loadConfig(EvaluateRecipe, join(packageRoot, 'configs/evaluate', `${body.config}.yaml`));
  const recipe = checkConfig(EvaluateRecipe, merge(base, body.recipe), 'The recipe') as EvaluateRecipe;
  if (recipe.prompt !== null) requireName(recipe.prompt);
  const data = await Promise.all(
    recipe.data.map(async (entry) => {
      const records = await resolveInRoot(places, entry.records);
      const media = entry.root === null ? null : await resolveInRoot(places, entry.root, 'folder');
      return { ...entry, records, root: media };
    }),
  );
  const ensemble =
    recipe.ensemble === null
      ? null
      : {
          ...recipe.ensemble,
          with: await Promise.all(
            recipe.ensemble.with.map(async (one) => ({ ...one, csv: await resolveInRoot(places, one.csv) })),
          ),
        };
  const resolved = {
    ...recipe,
    model: await resolveModel(recipe.model, places),
    base: recipe.base === null ? null : await resolveModel(recipe.base, places),
    data,
    ensemble,
  };
  await requireStillInRoot('eval', resolved, places);
  return resolved;
}

/**
 * Checks that a resolved recipe reads only below the root. A run can wait for its turn, or be resumed much later. Its
 * files, their links and the root itself can have changed by then.
 * @throws QalignError PATH_FORBIDDEN
 */
export async function requireStillInRoot(
  kind: RunKind,
  resolved: object,
  places: Omit<Places, 'findTraining'>,
): Promise<void> {
  const { records, others, models } =
    kind === 'run' ? readsOfTraining(resolved as TrainRecipe) : readsOfEvaluation(resolved as EvaluateRecipe);
  const reach = await readReach(places);
  const runs = await realpath(places.runs).catch(() => undefined);
  const inside = async (path: string, isAllowed: (real: string) => boolean): Promise<void> => {
    const real = await realpath(path).catch(() => undefined);
    if (real !== undefined && !isAllowed(real))
      throw new QalignError(
        'PATH_FORBIDDEN',
        `${path} is now outside the served root, or inside a directory of the service; move it back below the root.`,
      );
  };
  const isFile = (real: string): boolean => isInReach(reach, real);
  const isFolder = (real: string): boolean => real === reach.top || isFile(real);
  const isModel = (real: string): boolean => isFolder(real) || (runs !== undefined && isBelow(runs, real));
  for (const path of others) await inside(path, isFolder);
  for (const model of models.filter(isAbsolute)) await inside(model, isModel);
  for (const [file, folder] of records) {
    await inside(file, isFile);
    await requireMediaInRoot(kind, file, folder ?? dirname(file), reach);
  }
}

interface Reads {
  /** Record files with the folder of their media; null: the folder of the record file. */
  readonly records: readonly (readonly [file: string, folder: string | null])[];
  readonly others: readonly string[];
  /** Model names or folders. */
  readonly models: readonly string[];
}

const given = (...paths: readonly (string | null)[]): string[] => paths.filter((path) => path !== null);
const readsOfTraining = ({ data, model, base, encoder_weights: encoder }: TrainRecipe): Reads => ({
  records: [...data.train, ...data.dev].map((file) => [file, data.root]),
  others: given(data.root, encoder),
  models: given(model, base),
});
const readsOfEvaluation = ({ data, model, base, ensemble }: EvaluateRecipe): Reads => ({
  records: data.map(({ records, root }) => [records, root]),
  others: [...given(...data.map(({ root }) => root)), ...(ensemble?.with ?? []).map(({ csv }) => csv)],
  models: given(model, base),
});

/**
 * Resolves a model: the name of a described model, `run:ID`, `run:NAME`, or a folder below the root. A hub id is not
 * allowed, because a request must not start a download.
 */
async function resolveModel(model: string, places: Places): Promise<string> {
  const id = trainingOf(model);
  if (id !== undefined) {
    if (places.findTraining(id) !== undefined) return model; // its folder is looked up when the recipe is performed
    throw new QalignError('RUN_NOT_FOUND', `There is no training ${id}; GET /v1/train_runs lists yours.`);
  }
  const run = /^run:([a-z0-9][a-z0-9._-]*)$/.exec(model)?.[1];
  if (run === undefined) return (await modelNames()).includes(model) ? model : resolveInRoot(places, model, 'folder');
  const folder = join(places.runs, run, 'model');
  if (!existsSync(folder))
    throw new QalignError(
      'RUN_NOT_FOUND',
      `There is no run ${run} with a trained model; GET /v1/train_runs lists yours.`,
    );
  return folder;
}

function requireName(prompt: string): void {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(prompt))
    throw new QalignError('PATH_FORBIDDEN', `The prompt "${prompt.slice(0, 100)}" is not a prompt of configs/prompts.`);
}

/** Checks that the records name only media below the root. */
async function requireMediaInRoot(kind: RunKind, file: string, folder: string, reach: Reach): Promise<void> {
  if (!existsSync(file)) return; // there is nothing to check, and its reader reports the absence
  let number = 0;
  for await (const line of linesAsRead(kind, file, reach)) {
    number += 1;
    const path = mediaOf(line);
    if (path === undefined) continue; // the reader of records reports what is wrong with it
    const place = resolve(folder, path);
    if (!isInReach(reach, await realpath(place).catch(() => place)))
      throw new QalignError('PATH_FORBIDDEN', `Line ${number} of a record file names media outside the served root.`);
  }
}

/** Yields lines exactly as the reader of the records splits and decodes them, so that no record is unchecked. */
async function* linesAsRead(kind: RunKind, file: string, reach: Reach): AsyncGenerator<string, void, undefined> {
  if (kind === 'run') {
    for await (const { text } of wholeLines((await openWithin(file, reach)).createReadStream(), { tail: true }))
      yield text;
    return;
  }
  try {
    for await (const { lines } of readLines(file, reach)) yield* lines;
  } catch (error) {
    if (!(error instanceof QalignError) || error.code === 'PATH_FORBIDDEN') throw error;
    // the reader of the records fails at the same line
  }
}

function mediaOf(line: string): string | undefined {
  try {
    const { media } = JSON.parse(line) as { media?: unknown };
    return typeof media === 'string' ? media : undefined;
  } catch {
    return undefined;
  }
}

/** Merges the objects of `over` into those of `base`, recursively. A list replaces a list. */
function merge(base: unknown, over: unknown): unknown {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(base) || !isObject(over)) return over;
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over))
    merged.set(key, merged.has(key) ? merge(merged.get(key), value) : value);
  return Object.fromEntries(merged);
}

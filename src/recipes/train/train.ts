/** Entry point of src/recipes/train: prepares, starts and summarises trainings. The training itself runs in Python. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { RunRecipe } from '../../../bridge/protocol/recipe.js';
import type { TrainEvent } from '../../../bridge/protocol/train.js';
import type { Backend } from '../../../bridge/protocol/models.js';
import type { Preparation } from '../../../bridge/protocol/chat.js';
import { requirePrompt, type ModelChoice } from '../../config/models.js';
import type { PromptTemplate } from '../../prompts/render.js';
import { modelCacheDir } from '../../base/files/cache-dir.js';
import { isHere } from '../models-here.js';
import { loadPrompt } from '../../config/prompts.js';
import type { TrainRecipeInput } from '../../config/recipe-input.generated.js';
import { DEFAULT_MAX_FRAMES, type FittedRecipe, type TrainRecipe } from '../../config/train.js';
import {
  ensurePython,
  type PythonCommand,
  type PythonEnvOptions,
  type PythonExtra,
} from '../../engine/python/environment.js';
import type { DecodeBudget } from '../../media/budget/decode-budget.js';
import type { MediaLimits } from '../../media/limits.js';
import { createPreparePool } from '../../media/prepare-pool.js';
import { createPreparer } from '../../media/preparer.js';
import { QalignError } from '../../base/errors.js';
import { packageRoot, packageVersion } from '../../base/package-root.js';
import { writeWhole } from '../../base/files/whole-file.js';
import {
  createRun,
  findSameRun,
  requireRunsFolder,
  runsRoot,
  summarise,
  type RunSummary,
} from '../../runs/run-directory.js';
import { awaitOrphans, joinHosts, launch, requireIdle } from './launch.js';
import { fitRecipe } from './fit.js';
import { misfits, readMachine, type Machine } from './machine.js';
import { chooseTrainModel, fetchModel } from './model-shape.js';
import type { TimeEstimate } from './time-estimate.js';
import type { MemoryEstimate } from './memory-estimate.js';
import { modelIn, modelOf, requireBackendKeys, requireForms, type SplitForms } from './train-model.js';
import {
  loadSplits,
  prepareData,
  preparedBytes,
  addedBytes,
  type PreparedData,
  type PrepareProgress,
} from './prepare.js';
import { readRecipe, requireFits, requireMachine } from './recipe-rules.js';
import { readRecords, requireUsable, type TrainRecord } from './records.js';

/** Options of a training that are not part of the recipe. */
export interface TrainOptions {
  /** Ends the run after its step, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** Called with each event of the run. */
  readonly onEvent?: (event: TrainEvent) => void;
  /** Called with the progress of preparing the pixels. */
  readonly onPrepare?: (progress: PrepareProgress) => void;
  /** Called with the progress of downloads and installations. */
  readonly onSetup?: (message: string, done?: number, total?: number) => void;
  /** Called with the folder of the run before its training starts. */
  readonly onRun?: (folder: string) => void;
  /**
   * Reuse an existing run of the same recipe and data. A completed run is returned, any other run is resumed.
   * @default false
   */
  readonly reuse?: boolean;
  /** Folder of the run directories. Default: QALIGN_RUNS or `runs/`. */
  readonly runs?: string;
  /**
   * Interpreter and environment.
   * @default QALIGN_PYTHON, otherwise the managed environment
   */
  readonly python?: PythonCommand;
  /** Do not connect to the hub and install no optional packages; default false. */
  readonly offline?: boolean;
  /** Limits of decoding, and the allowed location of records and media; default: DEFAULT_LIMITS. */
  readonly limits?: Partial<MediaLimits>;
  /** Memory budget for decoding pictures, shared with other work; by default a separate one. */
  readonly decodeBudget?: DecodeBudget;
  /**
   * For services: model folders and encoder weights of the recipe → open ones that are read instead.
   * @default none
   */
  readonly held?: ReadonlyMap<string, string>;
}

/** The result of a training and the folder of its run. */
export interface TrainResult extends RunSummary {
  /** Directory of the run. */
  readonly folder: string;
  /** Damaged or missing files that were left out. */
  readonly skipped: number;
  /** Number of files with warnings. They are used for training, and `warnings.json` lists them. */
  readonly warned: number;
}

/** What a training needs, and what this machine lacks. */
export interface RecipePlan {
  /** Memory of one GPU, or of one process on a CPU; undefined if the sizes of the model are not known. */
  readonly plan: MemoryEstimate | undefined;
  /** Disk space of the prepared pictures in bytes; undefined if the records do not exist yet, or if it is not known. */
  readonly diskBytes: number | undefined;
  /** Steps and duration; undefined if the records do not exist yet. */
  readonly time: TimeEstimate | undefined;
  /** Reasons why this machine cannot run the recipe, as clauses; empty if it can. */
  readonly misfits: readonly string[];
  /** The recipe with the micro-batch and communication that were chosen. */
  readonly recipe: FittedRecipe;
  /** What this machine has. */
  readonly machine: Machine;
}

/**
 * Estimates what a recipe needs and checks whether this machine has it. Starts nothing.
 * @throws QalignError CONFIG_INVALID, CONFIG_NOT_FOUND
 * @example
 * ```ts
 * const { misfits } = await planRecipe({ name: 'own', model: 'nano', data: { train: ['data/own/train.jsonl'] } });
 * if (misfits.length > 0) console.error(misfits.join('; '));
 * ```
 */
export async function planRecipe(input: TrainRecipeInput): Promise<RecipePlan> {
  const given = readRecipe(input);
  const choice = await chooseTrainModel(given);
  requireBackendKeys(given, choice);
  const model = modelOf(choice);
  const forms = model.forms(given);
  const machine = await readMachine(runsRoot(), modelCacheDir());
  const fitted = (frames: number): Pick<RecipePlan, 'recipe' | 'plan' | 'machine'> => {
    const recipe = fitRecipe(given, (one) => model.memory(one, frames), machine);
    return { recipe, plan: model.memory(recipe, frames), machine };
  };
  const compare = ({ plan, recipe }: Pick<RecipePlan, 'recipe' | 'plan'>, prepared = 0): string[] =>
    misfits(plan, recipe, machine, { prepared, download: downloadBytes(choice, plan) });
  if (![...given.data.train, ...given.data.dev].every((file) => existsSync(file))) {
    const found = fitted(assumedFrames(given));
    return { ...found, diskBytes: undefined, time: undefined, misfits: compare(found) };
  }
  const { train: rows, dev } = await loadSplits(given, forms ?? UNKNOWN_FORMS);
  const found = fitted(mostFrames(rows.records, given));
  const diskBytes =
    forms &&
    (await preparedBytes(rows, given.data.max_frames)) +
      (await preparedBytes(dev, given.data.max_frames)) +
      addedBytes(rows, given);
  const time = model.time(found.recipe, rows.records, machine);
  return { ...found, diskBytes, time, misfits: compare(found, diskBytes) };
}

/** Of a model whose processor has not been read: its pictures have their own sizes. */
const UNKNOWN_FORMS = { train: { size: 0 }, dev: { size: 0 } };

/** Download size of a hub model that is not in the cache. Published weights have two bytes per parameter. */
function downloadBytes({ model, downloadGb = 0 }: ModelChoice, estimate: MemoryEstimate | undefined): number {
  if (isHere(model)) return 0;
  if (estimate === undefined) return downloadGb * 1e9;
  return 2 * (estimate.parameters.vision + estimate.parameters.abstractor + estimate.parameters.language);
}

/** Assumed frames per record if the records do not exist yet. A recipe that sets `max_frames` probably has clips. */
const assumedFrames = ({ data }: TrainRecipe): number => (data.max_frames < DEFAULT_MAX_FRAMES ? data.max_frames : 1);

const mostFrames = (records: readonly TrainRecord[], { data }: TrainRecipe): number =>
  records.some(({ kind }) => kind === 'video') ? data.max_frames : 1;

/**
 * Trains a recipe, from records to a checkpoint in the published layout (`<run>/model`).
 *
 * If the signal is aborted, the training stops after the current step with a checkpoint. The result then has the status
 * `stopped`.
 * @throws QalignError CONFIG_INVALID, TRAINING_DOES_NOT_FIT, RUN_FAILED; all errors of `prepareData` and of Python
 * @example
 * const { folder, srcc } = await train({ name: 'mine', model: 'nano', data: { train: ['data/own/train.jsonl'] } });
 */
export async function train(input: TrainRecipeInput, options: TrainOptions = {}): Promise<TrainResult> {
  const recipe = readRecipe(input);
  const root = resolve(options.runs ?? runsRoot());
  await requireRunsFolder(root);
  const choice = await chooseTrainModel(recipe);
  requireBackendKeys(recipe, choice);
  const prompts = await loadPrompts(recipe, choice);
  // records are read and memory is estimated before the download, so that a wrong path does not cost 16 GB
  const records = await readRecords(recipe.data.train, recipe.data.root, options.limits?.within);
  requireUsable(records, recipe);
  const known = choice.architecture !== undefined || existsSync(join(choice.model, 'config.json'));
  const machine = await readMachine(root, modelCacheDir());
  const frames = mostFrames(records, recipe);
  if (known) {
    const model = modelOf(readFrom(choice, options));
    model.forms(recipe); // refuses a size that the model cannot crop
    const fitted = fitRecipe(recipe, (one) => model.memory(one, frames), machine);
    const estimate = model.memory(fitted, frames);
    requireFits(estimate, fitted);
    requireMachine(
      misfits(estimate, fitted, machine, {
        prepared: 0, // prepared data can exist already; the preparation checks the disk itself
        download: downloadBytes(choice, estimate),
      }),
    );
  }
  const { backend, chat } = choice;
  const python = options.python ?? (await ensurePython({ ...setup(options), extras: extrasOf(recipe, backend) }));
  const { preparation, ...folders } = await fetchModel(choice, python, {
    onProgress: options.onSetup,
    signal: options.signal,
    offline: options.offline,
    placeOf: (folder) => placeOf(folder, options),
  });
  const model = modelIn(placeOf(folders.base ?? folders.model, options), preparation);
  const fitted = fitRecipe(recipe, (one) => model.memory(one, frames), machine);
  requireFits(model.memory(fitted, frames), fitted);
  const prepared = await prepare(recipe, { forms: requireForms(model, recipe), prompts }, root, options);
  const weights = recipe.encoder_weights === null ? null : resolve(recipe.encoder_weights);
  const compute = recipe.compute ?? (recipe.device === 'cuda' ? 'bf16' : 'fp32');
  const resolved: StoredRecipe = {
    ...fitted,
    encoder_weights: weights,
    compute,
    model_path: folders.model,
    base_path: folders.base ?? null,
    data_path: prepared.folder,
    skipped: prepared.skipped.length,
    ...(backend === 'transformers' ? { backend, chat: chat ?? { thinking: false }, preparation } : {}),
  };
  const there = options.reuse === true ? await findSameRun(root, resolved) : undefined;
  if (there !== undefined) {
    const summary = await summarise(there);
    return summary.status === 'completed'
      ? { ...summary, folder: there, skipped: resolved.skipped, warned: prepared.warned.length }
      : resumeRun(there, { ...options, python });
  }
  const folder = await createRun(root, recipe.name, resolved, await environmentOf(python));
  options.onRun?.(folder);
  const { skipped, warned } = prepared;
  await writeWhole(join(folder, 'skipped.json'), `${JSON.stringify(skipped, null, 1)}\n`);
  await writeWhole(join(folder, 'warnings.json'), `${JSON.stringify(warned, null, 1)}\n`);
  const result = await launch(folder, withPlaces(python, options), options);
  return { ...result, folder, skipped: skipped.length, warned: warned.length };
}

/**
 * Continues a stopped, interrupted or failed run from its last complete checkpoint.
 * @param folder the directory of the run
 * @throws QalignError RUN_NOT_FOUND, RUN_ACTIVE, RUN_FAILED
 * @example
 * ```ts
 * const { status } = await resumeRun('runs/own');
 * ```
 */
export async function resumeRun(folder: string, options: TrainOptions = {}): Promise<TrainResult> {
  await awaitOrphans(folder, {
    onWait: (pid) =>
      options.onSetup?.(`waiting for process ${pid}, which finishes its step (the process that started it was killed)`),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  await requireIdle(folder);
  const recipe = await storedRecipe(folder);
  const python =
    options.python ?? (await ensurePython({ ...setup(options), extras: extrasOf(recipe, recipe.backend) }));
  if (!existsSync(join(recipe.data_path, 'manifest.json'))) await prepareAgain(folder, recipe, options);
  const result = await launch(folder, withPlaces(python, options), options);
  return { ...result, folder, skipped: recipe.skipped, warned: await countWarned(folder) };
}

/** Reads the number from `warnings.json`. Runs of earlier versions do not have this file. */
async function countWarned(folder: string): Promise<number> {
  const text = await readFile(join(folder, 'warnings.json'), 'utf8').catch(() => '[]');
  return (JSON.parse(text) as unknown[]).length;
}

/** Prepares the pictures of a run again if they were deleted. The same records give the same pixels. */
async function prepareAgain(folder: string, recipe: StoredRecipe, options: TrainOptions): Promise<void> {
  const root = join(recipe.data_path, '../..');
  const model = modelIn(placeOf(recipe.base_path ?? recipe.model_path, options), recipe.preparation);
  const prompts = await Promise.all(recipe.prompts.map((name) => loadPrompt(name)));
  const prepared = await prepare(recipe, { forms: requireForms(model, recipe), prompts }, root, options);
  if (prepared.folder !== recipe.data_path)
    throw new QalignError(
      'TRAINING_DATA_INVALID',
      `The prepared pictures of the run ${folder} were deleted, and its records or pictures have changed since; start a new run.`,
    );
}

type HeldFolders = Pick<TrainOptions, 'held'>;

/** The place where a directory of the recipe is read. */
const placeOf = (folder: string, { held }: HeldFolders): string => held?.get(folder) ?? folder;

const readFrom = (choice: ModelChoice, options: HeldFolders): ModelChoice => ({
  ...choice,
  model: placeOf(choice.model, options),
  base: choice.base === undefined ? undefined : placeOf(choice.base, options),
});

/** Passes the same places to the trainers (python/qalign/training/files/held.py). */
const withPlaces = (python: PythonCommand, { held }: HeldFolders): PythonCommand =>
  held === undefined || held.size === 0
    ? python
    : { ...python, env: { ...python.env, QALIGN_HELD: JSON.stringify(Object.fromEntries(held)) } };

/**
 * Joins a run with several hosts that another host has started. Returns when the run ends.
 * @param folder the directory of the run, on a file system that all hosts share
 * @param rank number of this host, from 1
 * @throws QalignError RUN_NOT_FOUND, RUN_FAILED
 * @example
 * ```ts
 * await joinRun('runs/koniq', 1); // on the second host
 * ```
 */
export async function joinRun(folder: string, rank: number, options: TrainOptions = {}): Promise<void> {
  const recipe = await storedRecipe(folder);
  const python =
    options.python ?? (await ensurePython({ ...setup(options), extras: extrasOf(recipe, recipe.backend) }));
  await joinHosts(folder, rank, python);
}

/** The prompts of a recipe. @throws QalignError CONFIG_INVALID for a prompt that the model does not take */
async function loadPrompts(recipe: TrainRecipe, choice: ModelChoice): Promise<PromptTemplate[]> {
  const prompts = await Promise.all(recipe.prompts.map((name) => loadPrompt(name)));
  for (const prompt of prompts) requirePrompt(choice, prompt);
  return prompts;
}

/** Optional Python packages of a recipe. */
const extrasOf = ({ lora, trackers }: TrainRecipe, backend: Backend | undefined): PythonExtra[] => [
  ...(backend === 'transformers' ? ['transformers' as const] : []),
  ...(lora === null ? [] : ['training' as const]),
  ...trackers,
];

/** Content of `recipe.json` of a run: the recipe of the user and additional fields for Python. */
type StoredRecipe = Omit<FittedRecipe, 'compute'> & RunRecipe & { readonly preparation?: Preparation | undefined };

async function storedRecipe(folder: string): Promise<StoredRecipe> {
  return JSON.parse(await readFile(join(folder, 'recipe.json'), 'utf8')) as StoredRecipe;
}

function setup({ signal, onSetup, offline = false }: TrainOptions): PythonEnvOptions {
  return {
    offline,
    ...(signal === undefined ? {} : { signal }),
    ...(onSetup === undefined ? {} : { onProgress: onSetup }),
  };
}

async function prepare(
  recipe: TrainRecipe,
  { forms, prompts }: { readonly forms: SplitForms; readonly prompts: readonly PromptTemplate[] },
  root: string,
  options: TrainOptions,
): Promise<PreparedData> {
  const { limits, decodeBudget: budget } = options;
  const media = createPreparer(createPreparePool(budget === undefined ? {} : { budget }));
  try {
    return await prepareData({
      cache: join(root, '.prepared'),
      recipe,
      splits: await loadSplits(recipe, forms, limits?.within),
      limits,
      media,
      prompts,
      onProgress: options.onPrepare,
      signal: options.signal,
    });
  } finally {
    await media.close();
  }
}

async function environmentOf(python: PythonCommand): Promise<object> {
  const run = promisify(execFile);
  const script =
    'import json,platform,torch,numpy;print(json.dumps({"python":platform.python_version(),"torch":torch.__version__,"numpy":numpy.__version__}))';
  const { stdout } = await run(python.executable, ['-c', script], { env: { ...process.env, ...python.env } });
  const commit = await run('git', ['-C', packageRoot, 'rev-parse', 'HEAD']).then(
    (out) => out.stdout.trim(),
    () => null,
  );
  return { qalign: packageVersion, commit, node: process.version, host: hostname(), ...(JSON.parse(stdout) as object) };
}

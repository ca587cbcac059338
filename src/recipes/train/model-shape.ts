import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { chooseModel, type ModelChoice } from '../../config/models.js';
import type { TrainRecipe } from '../../config/train.js';
import type { PythonCommand } from '../../engine/python/environment.js';
import { withWorker } from '../../engine/with-worker.js';
import { QalignError } from '../../base/errors.js';
import { packageRoot } from '../../base/package-root.js';
import { inspectFiles } from '../models.js';
import { PUBLISHED_SHAPE, type ModelShape } from './memory-estimate.js';

/** Where the weights of a recipe lie. `base` is the base model of a LoRA adapter. */
export interface ModelFolders {
  readonly model: string;
  readonly base: string | undefined;
}

export interface FetchOptions {
  readonly onProgress?: ((message: string, done?: number, total?: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Only what is in the cache; false by default. */
  readonly offline?: boolean | undefined;
}

/** A recipe's model: a name of configs/models, a directory (also relative to the package) or a hub id. */
export async function chooseTrainModel(recipe: Pick<TrainRecipe, 'model' | 'base' | 'revision'>): Promise<ModelChoice> {
  const packaged = join(packageRoot, recipe.model);
  const model =
    !existsSync(resolve(recipe.model)) && existsSync(join(packaged, 'config.json')) ? packaged : recipe.model;
  return chooseModel({
    model,
    ...(recipe.base === null ? {} : { base: recipe.base }),
    ...(recipe.revision === null ? {} : { revision: recipe.revision }),
  });
}

/**
 * Local folders as they are; hub models through the cache, as the scorer does. @throws QalignError MODEL_NOT_FOUND,
 * MODEL_DOWNLOAD_FAILED, CONFIG_NOT_FOUND
 */
export async function fetchModel(
  choice: ModelChoice,
  python: PythonCommand,
  options: FetchOptions = {},
): Promise<ModelFolders> {
  const wanted = [
    { model: choice.model, revision: choice.revision },
    ...(choice.base === undefined ? [] : [{ model: choice.base, revision: choice.baseRevision }]),
  ];
  if (wanted.every(({ model }) => existsSync(model))) return { model: choice.model, base: choice.base };
  return withWorker({ python, device: 'cpu', signal: options.signal }, async (worker) => {
    const folders: string[] = [];
    for (const { model, revision } of wanted)
      folders.push(String((await inspectFiles(worker, model, revision, options))['path']));
    return { model: folders[0] as string, base: folders[1] };
  });
}

/** The sizes of a model, without its weights: of a local folder, or of a described model that is not here yet. */
export function modelShape(choice: ModelChoice): ModelShape {
  for (const folder of [choice.model, choice.base]) {
    if (folder !== undefined && existsSync(join(folder, 'config.json'))) return readShape(folder);
  }
  if (choice.architecture === 'mplug_owl2_7b') return PUBLISHED_SHAPE;
  throw new QalignError(
    'CONFIG_NOT_FOUND',
    `The sizes of ${choice.id} are not known before it is here; fetch it with "qalign models pull ${choice.id}", or give a directory with a config.json (model=PATH).`,
  );
}

/** @throws QalignError MODEL_INVALID, for a config.json that is no JSON, a git-LFS pointer among others */
export function readShape(folder: string): ModelShape {
  const file = join(folder, 'config.json');
  const text = readFileSync(file, 'utf8');
  try {
    return JSON.parse(text) as ModelShape;
  } catch (error) {
    const why = text.startsWith('version https://git-lfs.github.com/spec/')
      ? 'is a git-LFS pointer, not the file itself; run git lfs pull in its directory'
      : `is not readable JSON (${(error as Error).message}); it may be cut off, download it again`;
    throw new QalignError('MODEL_INVALID', `${file} ${why}.`, { cause: error });
  }
}

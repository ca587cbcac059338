import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Preparation } from '../../../bridge/protocol/chat.js';
import { chooseModel, type ModelChoice } from '../../config/models.js';
import type { TrainRecipe } from '../../config/train.js';
import type { PythonCommand } from '../../engine/python/environment.js';
import { withWorker } from '../../engine/with-worker.js';
import { QalignError } from '../../base/errors.js';
import { packageRoot } from '../../base/package-root.js';
import { inspectFiles } from '../models.js';
import { requireViews } from './frame-form.js';
import { PUBLISHED_SHAPE, type ModelShape } from './memory-estimate.js';

/** Folders of the weights of a recipe. `base` is the base model of a LoRA adapter. */
export interface ModelFolders {
  readonly model: string;
  readonly base: string | undefined;
  /** Who resizes pictures; only for models of transformers. */
  readonly preparation?: Preparation | undefined;
}

export interface FetchOptions {
  readonly onProgress?: ((message: string, done?: number, total?: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Use only the cache, without network; default false. */
  readonly offline?: boolean | undefined;
  /** The place where a directory is read. Default: the directory. */
  readonly placeOf?: ((folder: string) => string) | undefined;
}

/** Resolves the model of a recipe: a name in configs/models, a directory (also relative to the package) or a hub id. */
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
 * Returns local folders unchanged and downloads hub models to the cache, like the scorer. Of a model of transformers, a
 * worker also reads the processor.
 * @throws QalignError MODEL_NOT_FOUND, MODEL_DOWNLOAD_FAILED, CONFIG_NOT_FOUND
 */
export async function fetchModel(
  choice: ModelChoice,
  python: PythonCommand,
  options: FetchOptions = {},
): Promise<ModelFolders> {
  if (choice.backend === 'transformers') return fetchChatModel(choice, python, options);
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

async function fetchChatModel(
  { model, revision, chat }: ModelChoice,
  python: PythonCommand,
  options: FetchOptions,
): Promise<ModelFolders> {
  const place = options.placeOf?.(model) ?? model;
  const asked = { ...options, backend: 'transformers', chat: chat ?? { thinking: false } } as const;
  const found = await withWorker({ python, device: 'cpu', signal: options.signal }, (worker) =>
    inspectFiles(worker, place, revision, asked),
  );
  const { path, preparation } = found as unknown as { path: string; preparation: Preparation };
  return { model: existsSync(model) ? model : path, base: undefined, preparation };
}

/**
 * The sizes of a model without its weights, from a local folder or from the description of a model that is not
 * downloaded.
 * @throws QalignError CONFIG_NOT_FOUND, MODEL_INVALID
 */
export function modelShape(choice: ModelChoice): ModelShape {
  for (const folder of [choice.model, choice.base]) {
    if (folder !== undefined && existsSync(join(folder, 'config.json'))) return readShape(folder);
  }
  if (choice.architecture === 'mplug_owl2_7b') return PUBLISHED_SHAPE;
  throw new QalignError(
    'CONFIG_NOT_FOUND',
    `The sizes of ${choice.id} are unknown until it is downloaded; run "qalign models pull ${choice.id}", or set model to a folder with a config.json.`,
  );
}

/** @throws QalignError MODEL_INVALID if config.json is not valid JSON, such as a git-LFS pointer, or has other views */
export function readShape(folder: string): ModelShape {
  const file = join(folder, 'config.json');
  const text = readFileSync(file, 'utf8');
  let shape: ModelShape;
  try {
    shape = JSON.parse(text) as ModelShape;
  } catch (error) {
    const why = text.startsWith('version https://git-lfs.github.com/spec/')
      ? 'is a git-LFS pointer, not the file; run "git lfs pull" in its directory'
      : `is not valid JSON (${(error as Error).message}); download it again`;
    throw new QalignError('MODEL_INVALID', `${file} ${why}.`, { cause: error });
  }
  requireViews(shape, file);
  return shape;
}

import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import Type, { type Static } from 'typebox';
import { FAMILIES, type ChatSettings, type Family } from '../../bridge/protocol/chat.js';
import { BACKENDS, type Backend } from '../../bridge/protocol/models.js';
import { QalignError } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import type { PromptTemplate } from '../prompts/render.js';
import { KINDS, type Kind, type Task } from '../prompts/subject.js';
import { ChatSchema } from './chat.js';
import { loadConfig, type DeepReadonly } from './load.js';
import { hint } from '../base/suggest.js';

const FOLDER = join(packageRoot, 'configs', 'models');
const HUB_ID = /^[\w.-]+\/[\w.-]+$/;
/** Used when no model is named. */
export const DEFAULT_MODEL = 'nano';

const kinds = (description: string) => Type.Optional(Type.Array(Type.Enum([...KINDS]), { minItems: 1, description }));

/** `configs/models/<name>.yaml`. */
export const ModelSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]*$', description: 'name of the model and of its file' }),
    title: Type.String({ description: 'name as its authors write it' }),
    model: Type.String({
      minLength: 1,
      description: 'hub id, or folder relative to the package',
      examples: ['q-future/one-align'],
    }),
    revision: Type.Optional(Type.String({ description: 'commit of the hub model, for reproducible scores' })),
    base: Type.Optional(Type.String({ description: 'for a LoRA adapter: its base model, a name of configs/models' })),
    tasks: Type.Object(
      {
        quality: kinds('kinds of input that the model rates for quality'),
        aesthetics: kinds('kinds of input that the model rates for aesthetics'),
      },
      { additionalProperties: false, minProperties: 1, description: 'tasks that the model was trained for' },
    ),
    backend: Type.Enum([...BACKENDS], {
      default: 'mplug_owl2',
      description:
        'code that computes the model. transformers: an image-text model of that package, see `qalign models list --families`',
    }),
    chat: Type.Optional(ChatSchema),
    taught: Type.Boolean({
      default: true,
      description: 'false: the model was not taught to rate (zero-shot); results report it',
    }),
    download_gb: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'approximate size of the weights, in GB; shown before a download',
      }),
    ),
    prompt: Type.String({ default: 'default', description: 'default prompt: a name of configs/prompts' }),
    untrained: Type.Boolean({ default: false, description: 'true: the weights are random; every output reports it' }),
    architecture: Type.Optional(
      Type.Literal('mplug_owl2_7b', {
        description: 'sizes of the model; used to estimate memory before the download',
      }),
    ),
    licence: Type.String({ description: 'licence of the weights' }),
    citation: Type.Optional(Type.String({ description: 'publication' })),
  },
  { additionalProperties: false },
);
export type ModelDescription = DeepReadonly<Static<typeof ModelSchema>>;

/** A resolved `--model`: everything needed to load it and to know what it can do. */
export interface ModelChoice {
  /** The name of a description, or the directory or hub id as given. */
  readonly id: string;
  /** For the engine: a directory or a hub id. */
  readonly model: string;
  readonly revision: string | undefined;
  readonly base: string | undefined;
  readonly baseRevision: string | undefined;
  /** Undefined for a model without a description: every task is allowed. */
  readonly tasks: ModelDescription['tasks'] | undefined;
  readonly prompt: string;
  readonly untrained: boolean;
  /** Absent: mplug_owl2. */
  readonly backend?: Backend | undefined;
  /** How a model of transformers is asked. */
  readonly chat?: ChatSettings | undefined;
  /** Of a model of transformers: frames of clips with a longer side are reduced to it, in pixels. */
  readonly clipSide?: number | undefined;
  /** The model was not taught to rate. Absent: it was. */
  readonly taught?: false | undefined;
  readonly architecture?: ModelDescription['architecture'] | undefined;
  /** Approximate size of the weights in GB, and their licence, from the description. */
  readonly downloadGb?: number | undefined;
  readonly licence?: string | undefined;
}

/** The models described in configs/models, except those whose folder is not part of this installation. */
export async function describeModels(): Promise<ModelDescription[]> {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.yaml')).sort();
  const all = await Promise.all(files.map((name) => loadConfig(ModelSchema, join(FOLDER, name))));
  return all.filter(({ model }) => HUB_ID.test(model) || existsSync(join(packageRoot, model)));
}

/** The names of these models. */
export const modelNames = async (): Promise<string[]> => (await describeModels()).map(({ name }) => name);

/** The parts of `chat`: what Python needs to know, and what Node does with the frames of clips. */
function askedAs(described: ModelDescription | undefined): Pick<ModelChoice, 'chat' | 'clipSide'> {
  const { clip, ...asked } = described?.chat ?? {};
  return {
    chat: { thinking: false, ...(asked as Partial<ChatSettings>) },
    ...(clip?.long_side === undefined ? {} : { clipSide: clip.long_side }),
  };
}

/**
 * Resolves `--model NAME|DIR|ID|hf:DIR|hf:ID [--base NAME|DIR|ID] [--revision R]`. With `hf:`, and for a directory of a
 * known family, the backend is transformers.
 * @throws QalignError CONFIG_NOT_FOUND for a word that is not a name, a directory or a hub id; CONFIG_INVALID for `hf:`
 * of another model
 */
export async function chooseModel(
  options: { model?: string | undefined; base?: string | undefined; revision?: string | undefined } = {},
): Promise<ModelChoice> {
  const id = options.model ?? DEFAULT_MODEL;
  const descriptions = await describeModels();
  const named = withoutPrefix(id);
  const described = isPath(named)
    ? undefined
    : descriptions.find(({ name, model }) => name === named || model === named);
  const base = options.base ?? described?.base;
  const baseChoice = base === undefined ? undefined : locate(base, descriptions);
  const place = locate(named, descriptions);
  const backend = backendOf(id, place.model, described);
  const isChat = backend === 'transformers';
  const isTaught = described?.taught ?? (!isChat || existsSync(join(place.model, TAUGHT)));
  return {
    id,
    model: place.model,
    revision: options.revision ?? place.revision,
    base: baseChoice?.model,
    baseRevision: baseChoice?.revision,
    tasks: described?.tasks,
    prompt: described?.prompt ?? (isChat ? 'chat' : 'default'),
    untrained: described?.untrained ?? false,
    ...(isChat ? { backend, ...askedAs(described) } : {}),
    ...(isTaught ? {} : { taught: false }),
    ...(described?.download_gb === undefined ? {} : { downloadGb: described.download_gb }),
    ...(described === undefined ? {} : { licence: described.licence }),
    architecture: described?.architecture,
  };
}

/** A file that `qalign train` writes into a model of transformers. */
const TAUGHT = 'qalign.json';
const PREFIX = 'hf:';
const withoutPrefix = (id: string): string => (id.startsWith(PREFIX) ? id.slice(PREFIX.length) : id);

function backendOf(id: string, place: string, described: ModelDescription | undefined): Backend {
  const isNamed = id.startsWith(PREFIX);
  if (described !== undefined) {
    if (!isNamed || described.backend === 'transformers') return described.backend;
    throw new QalignError(
      'CONFIG_INVALID',
      `${described.name} is not a model of transformers; name it as --model ${described.name}.`,
    );
  }
  const type = modelTypeOf(place);
  if (type !== undefined && (FAMILIES as readonly string[]).includes(type)) return 'transformers';
  if (isNamed && type !== undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      `${place} has the model type ${type}; the supported ones are ${FAMILIES.join(', ')}.`,
    );
  return isNamed ? 'transformers' : 'mplug_owl2';
}

/** `model_type` of the config.json of a directory; undefined for a hub id, or if there is none. */
export function modelTypeOf(place: string): Family | (string & {}) | undefined {
  try {
    const { model_type: type } = JSON.parse(readFileSync(join(place, 'config.json'), 'utf8')) as {
      model_type?: unknown;
    };
    return typeof type === 'string' ? type : undefined;
  } catch {
    return undefined;
  }
}

function locate(
  id: string,
  descriptions: readonly ModelDescription[],
): { model: string; revision: string | undefined } {
  const described = isPath(id) ? undefined : descriptions.find(({ name, model }) => name === id || model === id);
  if (described !== undefined) {
    const local = join(packageRoot, described.model);
    return { model: existsSync(local) ? local : described.model, revision: described.revision };
  }
  if (existsSync(id)) return { model: resolve(id), revision: undefined };
  if (!isPath(id) && HUB_ID.test(id)) return { model: id, revision: undefined };
  const names = descriptions.map(({ name }) => name);
  throw new QalignError(
    'CONFIG_NOT_FOUND',
    `"${id}" is neither a directory, nor a hub id (owner/name), nor a model of "qalign models list"${hint(id, names)}.`,
  );
}

/** `./x`, `../x`, `/x` and `~/x` can only be directories. */
function isPath(id: string): boolean {
  return /^(\.{1,2}$|\.{0,2}\/|~\/)/.test(id);
}

/**
 * Checks that the description of a model has the tasks.
 * @throws QalignError TASK_UNSUPPORTED; names the models that have the task
 */
export async function requireTasks(choice: ModelChoice, tasks: readonly Task[]): Promise<void> {
  const missing = tasks.find((task) => choice.tasks !== undefined && choice.tasks[task] === undefined);
  if (missing === undefined) return;
  throw new QalignError(
    'TASK_UNSUPPORTED',
    `${choice.id} does not rate ${missing}; it rates ${Object.keys(choice.tasks ?? {}).join(', ') || 'nothing'}. ${await modelsThatDo(missing)}`,
  );
}

/** Whether the model rates this kind of input. If not, the item fails with TASK_UNSUPPORTED. */
export function supports(choice: ModelChoice, task: Task, kind: Kind): boolean {
  return choice.tasks === undefined || (choice.tasks[task]?.includes(kind) ?? false);
}

/**
 * Checks that a prompt is of the form that the model takes.
 * @throws QalignError CONFIG_INVALID
 */
export function requirePrompt(choice: Pick<ModelChoice, 'id' | 'backend'>, prompt: PromptTemplate): void {
  const isChat = choice.backend === 'transformers';
  if (isChat === (prompt.stem !== undefined)) return;
  throw new QalignError(
    'CONFIG_INVALID',
    isChat
      ? `The prompt ${prompt.name} is a text for mPLUG-Owl2; ${choice.id} needs a question and a stem, such as those of --prompt chat.`
      : `The prompt ${prompt.name} is for chat models of transformers; ${choice.id} needs a text, such as that of --prompt default.`,
  );
}

/** @throws QalignError TASK_UNSUPPORTED if a model of transformers is to do what only the first backend can */
export function requireFirstBackend({ id, backend }: Pick<ModelChoice, 'id' | 'backend'>, what: string): void {
  if (backend !== 'transformers') return;
  throw new QalignError(
    'TASK_UNSUPPORTED',
    `${id} is a model of transformers, which qalign scores with and trains; ${what} needs a model of mPLUG-Owl2.`,
  );
}

/** A sentence that names the models for a task. */
export async function modelsThatDo(task: Task, kind?: Kind): Promise<string> {
  const able = (await describeModels()).filter(({ tasks }) =>
    kind === undefined ? tasks[task] !== undefined : (tasks[task]?.includes(kind) ?? false),
  );
  if (able.length === 0) return 'No model of "qalign models list" does.';
  const named = able.map(
    ({ name, title, untrained }) => `${name}${untrained ? ' (untrained)' : (/ \(base\b.*\)$/.exec(title)?.[0] ?? '')}`,
  );
  // those that only serve as a base come last
  return `Models that do: ${named.sort((a, b) => Number(a.includes(' ')) - Number(b.includes(' '))).join(', ')}.`;
}

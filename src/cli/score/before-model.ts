import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelChoice } from '../../config/models.js';
import { describePreprocessing } from '../../media/preprocessing.js';
import type { FrameForm } from '../../media/views/views.js';
import type { PromptTemplate } from '../../prompts/render.js';
import type { Task } from '../../prompts/subject.js';
import { owes, readHeld, type Held } from '../../recipes/score/result-file.js';
import type { WrittenLine } from '../../recipes/score/result-scan.js';
import { failure } from '../../recipes/score/score-source.js';
import { scoreVersion } from '../../recipes/score/score-version.js';
import type { ScoreOutcome } from '../../api/result.js';
import type { ScoreInput, Scorer, ScoreManyOptions, ScorerOptions, ScoreSource } from '../../recipes/score/scorer.js';
import type { ScoreRequest } from './request.js';

/** Failed inputs that are held until the first good one. Beyond this number, the model is loaded anyway. */
const MOST_HELD = 10_000;

/** What is known about the inputs before a model is loaded. */
export interface FirstLook {
  /** The inputs without those that are `kept`. */
  readonly sources: AsyncIterable<ScoreSource>;
  /** Number of leading inputs that an earlier run has scored. */
  readonly kept: number;
  /** Number of leading inputs that fail without a model. */
  readonly failed: number;
  /** False if all inputs were read and none has to be scored. */
  readonly needsModel: boolean;
}

/** Reads inputs until one has to be scored. @param owed whether an input still has to be scored */
export async function lookAhead(
  sources: AsyncIterable<ScoreSource>,
  owed: (source: ScoreSource) => boolean,
): Promise<FirstLook> {
  const iterator = sources[Symbol.asyncIterator]();
  const held: ScoreSource[] = [];
  let kept = 0;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    if (!owed(next.value)) kept += 1;
    else {
      held.push(next.value);
      if (next.value.error === undefined || held.length > MOST_HELD)
        return {
          sources: joined(held, { [Symbol.asyncIterator]: () => iterator }),
          kept,
          failed: held.length,
          needsModel: true,
        };
    }
  }
  return { sources: joined(held), kept, failed: held.length, needsModel: false };
}

async function* joined(held: ScoreSource[], rest?: AsyncIterable<ScoreSource>): AsyncGenerator<ScoreSource> {
  yield* held.splice(0);
  if (rest !== undefined) yield* rest;
}

/** The part of a scorer that a run without a model needs: every input fails with its own error. */
export function scorerWithoutModel(version = ''): Pick<Scorer, 'scoreVersion' | 'scoreMany' | 'close'> {
  async function* scoreMany(
    inputs: AsyncIterable<ScoreInput> | Iterable<ScoreInput>,
    { tasks = [], tasksOf, signal }: ScoreManyOptions = {},
  ): AsyncGenerator<ScoreOutcome[], void, undefined> {
    for await (const source of inputs as AsyncIterable<ScoreSource>) {
      signal?.throwIfAborted();
      const { error } = source;
      if (error !== undefined) yield (tasksOf?.(source) ?? tasks).map((task) => failure(source, task, error));
    }
  }
  return { scoreVersion: version, scoreMany: scoreMany as Scorer['scoreMany'], close: async () => {} };
}

/** The scores that an earlier run left in a file. */
export interface Earlier {
  /** Undefined without a file to continue. */
  readonly held: Held | undefined;
  /** The score_version of this model's rows; undefined without such rows. */
  readonly version: string | undefined;
  owes(source: ScoreSource, task: Task): boolean;
}

/** The model and settings of a run, as known before the model is loaded. */
export interface Wanted {
  readonly choice: ModelChoice;
  readonly options: ScorerOptions;
  readonly prompt: PromptTemplate;
  /** The ids of the models, in a run with several. */
  readonly models: readonly string[] | undefined;
  /** Converts the version of the scorer to that of calibrated rows. */
  readonly versionOf: (plain: string) => string;
}

/**
 * Reads the scores that `--resume` continues, without loading the model. This is possible if the rows have the model
 * and settings of this run, and the model is older than the rows. Otherwise, returns undefined. Changes nothing.
 */
export async function readEarlier(request: ScoreRequest, wanted: Wanted): Promise<Earlier | undefined> {
  const { out = '', resume } = request;
  const { models } = wanted;
  const own = models === undefined ? undefined : wanted.choice.id;
  const written = resume ? await stat(out).catch(() => undefined) : undefined;
  if (written === undefined || written.size === 0) return { held: undefined, version: undefined, owes: () => true };
  let version: string | undefined;
  const format = request.format === 'csv' ? 'csv' : 'jsonl';
  const held = await readHeld(out, { ...request, format, models, curveWindow: request.curve?.window }, async (line) => {
    if (own !== undefined && line.model !== own) return true;
    const isFirst = version === undefined;
    version ??= line.scoreVersion;
    return isFirst ? fits(settingsOf(line), version, wanted) : line.scoreVersion === version;
  });
  if (held === undefined || (version !== undefined && !(await isOlder(wanted.choice, written.mtimeMs))))
    return undefined;
  return { held, version, owes: (source, task) => owes(held.done, source, task, own) };
}

/** The model settings in a row. */
interface Settings {
  readonly model: string;
  readonly revision: string;
  readonly weights: string;
  readonly precision: string;
  /** Undefined in CSV, which has no column for it. */
  readonly form: FrameForm | undefined;
}

/** Reads the settings from a row of JSON, of a compact file, or of CSV, whose columns are flat. */
function settingsOf({ model, fields }: WrittenLine): Settings {
  const of = typeof fields['model'] === 'object' ? (fields['model'] as Readonly<Record<string, unknown>>) : fields;
  const text = (name: string): string => (of?.[name] ?? fields[`model.${name}`] ?? '') as string;
  const form = fields['preprocessing'] as FrameForm | undefined;
  return {
    model: model ?? '',
    revision: text('revision'),
    weights: text('weights_sha256'),
    precision: text('precision'),
    form,
  };
}

/** Whether this run would load the weights of the row and give its score_version. */
async function fits(
  row: Settings,
  version: string | undefined,
  { choice, options, prompt, versionOf }: Wanted,
): Promise<boolean> {
  const precision = options.precision ?? 'auto';
  if (row.model !== choice.id || choice.base !== undefined) return false;
  if (choice.backend === 'transformers') return false; // its version depends on its processor
  if (precision !== 'auto' && precision !== row.precision) return false;
  // a branch of the hub can have moved
  if (row.revision !== 'local' && row.revision !== choice.revision) return false;
  try {
    const { size, views } = row.form ?? (await formOf(choice));
    const plain = scoreVersion({
      weightsSha256: row.weights,
      precision: row.precision,
      promptText: prompt.text,
      scale: options.scale ?? 'mos5',
      preprocessing: describePreprocessing(size, { ...options, views }),
    });
    return versionOf(plain) === version;
  } catch {
    return false; // the image size is unknown, or the calibration belongs to another model
  }
}

/** Imports its module on demand, because loading takes half a second. */
async function formOf(choice: ModelChoice): Promise<FrameForm> {
  const { modelShape } = await import('../../recipes/train/model-shape.js');
  const { modelForm } = await import('../../recipes/train/frame-form.js');
  return modelForm(modelShape(choice));
}

/** Whether the weights are older than the rows. The weights in a folder can change; those of a hub commit cannot. */
async function isOlder({ model }: ModelChoice, time: number): Promise<boolean> {
  const names = await readdir(model).catch(() => []);
  const times = await Promise.all(names.map(async (name) => (await stat(join(model, name))).mtimeMs));
  return times.every((each) => each <= time);
}

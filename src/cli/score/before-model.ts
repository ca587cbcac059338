import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelChoice } from '../../config/models.js';
import { describePreprocessing } from '../../media/preprocessing.js';
import type { PromptTemplate } from '../../prompts/render.js';
import type { Task } from '../../prompts/subject.js';
import { owes, readHeld, type Held } from '../../recipes/score/result-file.js';
import type { WrittenLine } from '../../recipes/score/result-scan.js';
import { failure } from '../../recipes/score/score-source.js';
import { scoreVersion } from '../../recipes/score/score-version.js';
import type { ScoreOutcome } from '../../api/result.js';
import type { ScoreInput, Scorer, ScoreManyOptions, ScorerOptions, ScoreSource } from '../../recipes/score/scorer.js';
import type { ScoreRequest } from './request.js';

/** Inputs that cannot be opened are held until one can be; beyond so many the model is loaded without knowing. */
const MOST_HELD = 10_000;

/** What is known of the inputs before a model is loaded. */
export interface FirstLook {
  /** The inputs without those that are `kept`. */
  readonly sources: AsyncIterable<ScoreSource>;
  /** Inputs at the beginning that an earlier run has scored. */
  readonly kept: number;
  /** Inputs at the beginning that fail without a model. */
  readonly failed: number;
  /** False where every input was looked at and none is to be scored. */
  readonly needsModel: boolean;
}

/** Reads inputs until one has to be scored. @param owed whether an earlier run has not scored it */
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

/** The part of a scorer that a run without a model needs: every input fails by its own error. */
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
  /** Undefined where there is no file to continue. */
  readonly held: Held | undefined;
  /** Of this model's rows; undefined where it has none. */
  readonly version: string | undefined;
  owes(source: ScoreSource, task: Task): boolean;
}

/** What a run asks of its model, as far as it is known before that is loaded. */
export interface Wanted {
  readonly choice: ModelChoice;
  readonly options: ScorerOptions;
  readonly prompt: PromptTemplate;
  /** In a run with several, their ids. */
  readonly models: readonly string[] | undefined;
  /** From the scorer's own version to that of calibrated rows. */
  readonly versionOf: (plain: string) => string;
}

/**
 * What `--resume` continues, if it can be told without the model that this run would continue it: the same model and
 * settings by the rows themselves, and a model that is older than the rows. Undefined where only the model can tell.
 * Changes nothing.
 */
export async function readEarlier(request: ScoreRequest, wanted: Wanted): Promise<Earlier | undefined> {
  const { out = '', resume } = request;
  const { models } = wanted;
  const own = models === undefined ? undefined : wanted.choice.id;
  const written = resume ? await stat(out).catch(() => undefined) : undefined;
  if (written === undefined || written.size === 0) return { held: undefined, version: undefined, owes: () => true };
  let version: string | undefined;
  const format = request.format === 'csv' ? 'csv' : 'jsonl';
  const held = await readHeld(out, { ...request, format, models }, async (line) => {
    if (own !== undefined && line.model !== own) return true;
    const isFirst = version === undefined;
    version ??= line.scoreVersion;
    return isFirst ? fits(settingsOf(line), version, wanted) : line.scoreVersion === version;
  });
  if (held === undefined || (version !== undefined && !(await isOlder(wanted.choice, written.mtimeMs))))
    return undefined;
  return { held, version, owes: (source, task) => owes(held.done, source, task, own) };
}

/** What a row says of the model that made it. */
interface Settings {
  readonly model: string;
  readonly revision: string;
  readonly weights: string;
  readonly precision: string;
  /** CSV has no column for it. */
  readonly size: number | undefined;
}

/** Of a row of CSV, whose columns are flat, of JSON or of a compact file. */
function settingsOf({ model, fields }: WrittenLine): Settings {
  const of = typeof fields['model'] === 'object' ? (fields['model'] as Readonly<Record<string, unknown>>) : fields;
  const text = (name: string): string => (of?.[name] ?? fields[`model.${name}`] ?? '') as string;
  const { size } = (fields['preprocessing'] ?? {}) as { readonly size?: number };
  return {
    model: model ?? '',
    revision: text('revision'),
    weights: text('weights_sha256'),
    precision: text('precision'),
    size,
  };
}

/** Whether this run would give the row's version with the row's weights, and would load those weights. */
async function fits(
  row: Settings,
  version: string | undefined,
  { choice, options, prompt, versionOf }: Wanted,
): Promise<boolean> {
  const precision = options.precision ?? 'auto';
  if (row.model !== choice.id || choice.base !== undefined) return false;
  if (precision !== 'auto' && precision !== row.precision) return false;
  // a branch of the hub may have moved
  if (row.revision !== 'local' && row.revision !== choice.revision) return false;
  try {
    const size = row.size ?? (await sizeOf(choice));
    const plain = scoreVersion({
      weightsSha256: row.weights,
      precision: row.precision,
      promptText: prompt.text,
      scale: options.scale ?? 'mos5',
      preprocessing: describePreprocessing(size, options),
    });
    return versionOf(plain) === version;
  } catch {
    return false; // the sizes of the model are not known here, or its calibration is for another one
  }
}

/** The module is loaded where it is needed: half a second. */
async function sizeOf(choice: ModelChoice): Promise<number> {
  const { modelShape } = await import('../../recipes/train/model-shape.js');
  return modelShape(choice).visual_config.visual_model.image_size;
}

/** A folder may hold other weights than when the rows were written. A hub's commit cannot. */
async function isOlder({ model }: ModelChoice, time: number): Promise<boolean> {
  const names = await readdir(model).catch(() => []);
  const times = await Promise.all(names.map(async (name) => (await stat(join(model, name))).mtimeMs));
  return times.every((each) => each <= time);
}

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { ModelChoice } from '../../config/models.js';
import { describePreprocessing } from '../../media/preprocessing.js';
import type { PromptTemplate } from '../../prompts/render.js';
import type { Task } from '../../prompts/subject.js';
import { CSV_COLUMNS } from '../../recipes/score/result-csv.js';
import { isChanged, keyOfSource } from '../../recipes/score/result-file.js';
import { scanResults } from '../../recipes/score/result-scan.js';
import { failure } from '../../recipes/score/score-source.js';
import { scoreVersion } from '../../recipes/score/score-version.js';
import type { ScoreOutcome } from '../../api/result.js';
import type { ScoreInput, Scorer, ScoreManyOptions, ScorerOptions, ScoreSource } from '../../recipes/score/scorer.js';
import type { ScoreRequest } from './flags.js';
import type { MediaIdentity } from '../../media/media-input.js';

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
  /** Undefined where it left none. */
  readonly scoreVersion: string | undefined;
  owes(source: ScoreSource, task: Task): boolean;
}

/** What a run asks of its model, as far as it is known before that is loaded. */
export interface Wanted {
  readonly choice: ModelChoice;
  readonly prompt: PromptTemplate;
  /** From the scorer's own version to that of calibrated rows. */
  readonly versionOf: (plain: string) => string;
}

/**
 * What `--resume` continues, if it can be told without the model that this run would continue it: the same model and
 * settings by the rows themselves, and a model that is older than the rows. Undefined where only the model can tell.
 * Changes nothing.
 */
export async function readEarlier(request: ScoreRequest, wanted: Wanted): Promise<Earlier | undefined> {
  const { out = '', strict, resume } = request;
  const format = request.format === 'csv' ? 'csv' : 'jsonl';
  const written = resume ? await stat(out).catch(() => undefined) : undefined;
  if (written === undefined || written.size === 0) return { scoreVersion: undefined, owes: () => true };
  const done = new Map<string, Partial<MediaIdentity>>();
  let version: string | undefined;
  for await (const { text, line } of scanResults(out, format)) {
    if (line === undefined) continue;
    const { key, failed, warned, scoreVersion: ofRow, identity } = line;
    if (failed || (strict && warned)) {
      done.delete(key);
      continue;
    }
    if (version === undefined && !(await fits(settingsOf(text, format), ofRow, request.scorer, wanted)))
      return undefined;
    version ??= ofRow;
    if (ofRow !== version) return undefined;
    done.set(key, identity);
  }
  if (version !== undefined && !(await isOlder(wanted.choice, written.mtimeMs))) return undefined;
  return {
    scoreVersion: version,
    owes(source, task) {
      const found = done.get(keyOfSource(source, task));
      return found === undefined || isChanged(found, source.identity);
    },
  };
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

function settingsOf(text: string, format: 'jsonl' | 'csv'): Settings {
  if (format === 'csv') {
    const [cells = []]: string[][] = parse(text);
    const cell = (name: (typeof CSV_COLUMNS)[number]): string => cells[CSV_COLUMNS.indexOf(name)] ?? '';
    return {
      model: cell('model'),
      revision: cell('revision'),
      weights: cell('weights_sha256'),
      precision: cell('precision'),
      size: undefined,
    };
  }
  const row = JSON.parse(text) as {
    model?: { id: string; revision: string; weights_sha256: string; precision: string };
    preprocessing?: { size: number };
  };
  return {
    model: row.model?.id ?? '',
    revision: row.model?.revision ?? '',
    weights: row.model?.weights_sha256 ?? '',
    precision: row.model?.precision ?? '',
    size: row.preprocessing?.size,
  };
}

/** Whether this run would give the row's version with the row's weights, and would load those weights. */
async function fits(
  row: Settings,
  version: string | undefined,
  options: ScorerOptions,
  { choice, prompt, versionOf }: Wanted,
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

import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { loadDatasetSpec } from '../../config/datasets.js';
import type { EvaluateRecipe } from '../../config/evaluate.js';
import type { DeepReadonly } from '../../config/load.js';
import { chooseModel, type ModelChoice } from '../../config/models.js';
import { QalignError } from '../../base/errors.js';
import type { Reach } from '../../base/files/reach.js';
import { isHere } from '../models-here.js';
import { TEST_SETS } from './published-figures.js';
import { readRecordSet, type RecordSet } from './records.js';

/** A missing file or model, and how to get it. */
export interface Missing {
  readonly what: string;
  readonly how: string;
}

export interface Readiness {
  readonly missing: readonly Missing[];
  /** The entries of `data` that can be predicted. */
  readonly sets: readonly RecordSet[];
}

/**
 * Checks the inputs of a recipe without starting anything.
 * @param options.model whether to check the model; false if a later step creates it
 * @param options.within allowed location of the opened records; default: anywhere
 */
export async function checkReady(
  recipe: DeepReadonly<EvaluateRecipe>,
  { model = true, within }: { readonly model?: boolean; readonly within?: Reach | undefined } = {},
): Promise<Readiness> {
  const missing = model ? [...(await missingModel(recipe.model, recipe.base))] : [];
  const sets: RecordSet[] = [];
  for (const entry of recipe.data) {
    const dataset = entry.name;
    const set = await readRecordSet(entry, within).catch(async (error: unknown) => {
      if (!(error instanceof QalignError) || error.code !== 'EVALUATION_NOT_READY') throw error;
      missing.push({
        what: `the records of ${dataset} (${entry.records})`,
        how: await howToConvert(dataset, entry.records.replace(/[^/]*$/, '') || './'),
      });
      return undefined;
    });
    if (set === undefined) continue;
    const absent = await missingMedia(set);
    if (absent.length > recipe.allow_failures)
      missing.push({
        what: `${absent.length} of ${set.media.length} media files of ${dataset}, such as ${absent[0]}`,
        how: 'put the pictures or clips there, or set "root" of the entry to their folder',
      });
    else sets.push(set);
  }
  for (const { csv, name } of recipe.ensemble?.with ?? []) {
    if (!existsSync(csv))
      missing.push({
        what: `the scores of ${name} (${csv})`,
        how: `run ${name} on the same items and write a CSV with an id and a score column`,
      });
  }
  return { missing, sets };
}

/**
 * Describes how to create the records of a data set.
 * @param name a test set of the paper, a data set, or the name of a subset
 */
export async function howToConvert(name: string, out: string): Promise<string> {
  const test = TEST_SETS[name];
  const dataset =
    test?.dataset ??
    (await loadDatasetSpec(name).then(
      (spec) => spec.name,
      () => undefined,
    ));
  if (dataset === undefined)
    return `create them with "qalign dataset convert" (or "qalign dataset split" for a subset) and write them to ${out}`;
  return `download its media and label files ("qalign dataset list" names the source), then run: qalign dataset convert ${dataset} --labels DIR --media DIR${test?.flags === undefined ? '' : ` ${test.flags}`} --out ${out}`;
}

/** One line per missing item, for errors and terminals. */
export function describeMissing(missing: readonly Missing[]): string {
  return missing.map(({ what, how }) => `missing: ${what}; to get it: ${how}`).join('\n');
}

export async function missingModel(model: string, base?: string | null): Promise<Missing[]> {
  const choice = await chooseModel({ model, ...(base === undefined || base === null ? {} : { base }) }).catch(
    (error: unknown) => {
      if (error instanceof QalignError && error.code === 'CONFIG_NOT_FOUND') return undefined;
      throw error;
    },
  );
  if (choice === undefined)
    return [{ what: `the model ${model}`, how: 'train it with "qalign train", or set model=NAME|DIR|ID' }];
  return [choice.model, choice.base]
    .filter((place) => place !== undefined)
    .filter((place) => !isHere(place))
    .map((place) => ({ what: `the model ${place}`, how: `qalign models pull ${nameOf(choice, place)}` }));
}

const nameOf = (choice: ModelChoice, place: string): string => (place === choice.model ? choice.id : place);

/** Paths of the media files of a set that do not exist. */
export async function missingMedia({ media }: Pick<RecordSet, 'media'>): Promise<string[]> {
  const absent: string[] = [];
  for (let start = 0; start < media.length; start += 256) {
    const part = media.slice(start, start + 256);
    const there = await Promise.all(
      part.map((path) =>
        stat(path).then(
          (found) => found.isFile() || found.isDirectory(),
          () => false,
        ),
      ),
    );
    absent.push(...part.filter((_, i) => !there[i]));
  }
  return absent;
}

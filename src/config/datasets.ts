import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Type from 'typebox';
import { DatasetSpec } from '../datasets/spec.js';
import { QalignError } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import { loadConfig, type DeepReadonly } from './load.js';
import { hint } from '../base/suggest.js';

const FOLDER = join(packageRoot, 'configs', 'datasets');
/** `configs/datasets/questions/<name>.yaml`. */
export const Questions = Type.Object(
  {
    name: Type.String({ description: 'name of the list and of its file' }),
    questions: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'paraphrases of the question; each record gets one, chosen at random with the seed',
    }),
  },
  { additionalProperties: false },
);

/** The named data sets of configs/datasets/, in alphabetical order. */
export async function listDatasetSpecs(): Promise<DatasetSpec[]> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.yaml')).sort();
  return Promise.all(names.map(async (name) => plain(await loadConfig(DatasetSpec, join(FOLDER, name)))));
}

/**
 * Loads a data set by its name, an alias, or a YAML file like those of configs/datasets/.
 * @throws QalignError CONFIG_NOT_FOUND with the nearest name; CONFIG_INVALID
 */
export async function loadDatasetSpec(name: string, overrides: readonly string[] = []): Promise<DatasetSpec> {
  if (/\.ya?ml$/i.test(name)) return plain(await loadConfig(DatasetSpec, name, overrides));
  const specs = await listDatasetSpecs();
  const found = specs.find((spec) => spec.name === name || spec.aliases?.includes(name) === true);
  if (found !== undefined)
    return overrides.length === 0
      ? found
      : plain(await loadConfig(DatasetSpec, join(FOLDER, `${found.name}.yaml`), overrides));
  throw new QalignError(
    'CONFIG_NOT_FOUND',
    `There is no data set "${name}"${hint(
      name,
      specs.map((spec) => spec.name),
    )}.`,
  );
}

/** The paraphrases of configs/datasets/questions/<name>.yaml, or of such a YAML file. They do not contain <|image|>. */
export async function loadQuestions(name: string): Promise<readonly string[]> {
  return (await loadConfig(Questions, /\.ya?ml$/i.test(name) ? name : join(FOLDER, 'questions', `${name}.yaml`)))
    .questions;
}

function plain(spec: DeepReadonly<DatasetSpec>): DatasetSpec {
  return spec as DatasetSpec;
}

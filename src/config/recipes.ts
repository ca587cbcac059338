/** The recipes of configs/train and configs/evaluate, by their names. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Static, TSchema } from 'typebox';
import { QalignError } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import { hint } from '../base/suggest.js';
import { loadConfig, type DeepReadonly } from './load.js';

export type RecipeKind = 'train' | 'evaluate';

/** The header comment of a recipe. */
export interface RecipeHeader {
  readonly name: string;
  readonly what: string;
  readonly needs: string;
  /** Complete command lines that prepare what the recipe needs, in order. */
  readonly prepare: readonly string[];
  readonly command: string;
  readonly expected: string;
}

const folderOf = (kind: RecipeKind): string => join(packageRoot, 'configs', kind);

/** Names of the recipes that come with the package, in alphabetical order. */
export async function recipeNames(kind: RecipeKind): Promise<string[]> {
  const files = await readdir(folderOf(kind));
  return files
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();
}

/** The headers of the recipes that come with the package. */
export async function listRecipes(kind: RecipeKind): Promise<RecipeHeader[]> {
  return Promise.all(
    (await recipeNames(kind)).map(async (name) =>
      readHeader(name, await readFile(join(folderOf(kind), `${name}.yaml`), 'utf8')),
    ),
  );
}

/** `# What: …`, `# Needs: …` with command lines below it, `# Command: …`, `# Expected: …`. */
export function readHeader(name: string, text: string): RecipeHeader {
  const of = (word: string): string => new RegExp(`^# ${word}: (.*)$`, 'm').exec(text)?.[1] ?? '';
  const prepare = [...text.matchAll(/^# {3}((?:qalign|pip) .*)$/gm)].map(([, line = '']) => line);
  return { name, what: of('What'), needs: of('Needs'), prepare, command: of('Command'), expected: of('Expected') };
}

/**
 * Loads a recipe by its name (`koniq`), or from a YAML file if the word has a slash or the extension of YAML.
 * @throws QalignError CONFIG_NOT_FOUND with the nearest name; CONFIG_INVALID; USAGE for a malformed override
 */
export async function loadRecipe<S extends TSchema>(
  kind: RecipeKind,
  schema: S,
  word: string,
  overrides: readonly string[] = [],
): Promise<DeepReadonly<Static<S>>> {
  const isFile = word.includes('/') || /\.ya?ml$/i.test(word);
  const names = await recipeNames(kind);
  if (!isFile && names.includes(word)) return loadConfig(schema, join(folderOf(kind), `${word}.yaml`), overrides);
  if (!isFile) throw notFound(`No recipe is named "${word}"`, kind, word, names);
  return loadConfig(schema, word, overrides).catch((error: unknown) => {
    const missing = error instanceof QalignError && error.code === 'CONFIG_NOT_FOUND' && error.cause === undefined;
    throw missing ? notFound(`The file ${word} does not exist`, kind, baseOf(word), names) : error;
  });
}

function notFound(what: string, kind: RecipeKind, word: string, names: readonly string[]): QalignError {
  return new QalignError(
    'CONFIG_NOT_FOUND',
    `${what}${hint(word, names)}; "qalign ${kind} --list" shows the recipes. Name your own recipe by the path of its file.`,
  );
}

const baseOf = (path: string): string => path.replace(/^.*\//, '').replace(/\.ya?ml$/i, '');

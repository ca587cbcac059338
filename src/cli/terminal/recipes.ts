import type { TSchema } from 'typebox';
import { describeKeys, type KeyDescription } from '../../config/recipe-keys.js';
import { listRecipes, type RecipeHeader, type RecipeKind } from '../../config/recipes.js';
import { asJson } from './json.js';
import { labelled } from './table.js';

export const RECIPE_FLAGS = {
  list: { type: 'boolean', help: 'the recipes that come with qalign: what each does and needs' },
  keys: { type: 'boolean', help: 'every key of a recipe: type, default, meaning' },
} as const;

/** What `--list` and `--keys` print; undefined without either. */
export async function recipePage(
  kind: RecipeKind,
  schema: TSchema,
  { list, keys, json }: { readonly list: boolean; readonly keys: boolean; readonly json: boolean },
): Promise<string | undefined> {
  if (keys) return keyPage(schema, json);
  if (!list) return undefined;
  const recipes = await listRecipes(kind);
  return json ? asJson(recipes) : text(recipeLines(recipes));
}

/** What `--keys` prints. */
export function keyPage(schema: TSchema, json: boolean): string {
  const keys = describeKeys(schema);
  return json ? asJson(keys) : text(keyLines(keys));
}

const text = (lines: readonly string[]): string => `${lines.join('\n')}\n`;

/** `--list`: the name of each recipe, what it does, what it needs and the commands that make that. */
export function recipeLines(recipes: readonly RecipeHeader[]): string[] {
  const width = Math.max(...recipes.map(({ name }) => name.length)) + 1;
  return recipes.flatMap(({ name, what, needs, prepare }) =>
    labelled(name, width, [what, `needs ${needs}`, ...prepare.map((line) => `  ${line}`)]),
  );
}

/** `--keys`: each key with its default, its type, and below it what it means. */
export function keyLines(keys: readonly KeyDescription[]): string[] {
  return keys.flatMap((one) => [
    `${one.key}${one.default === undefined ? '' : ` = ${yaml(one.default)}`}  (${one.type}${one.required ? '; required' : ''})`,
    `    ${one.meaning}${one.example === undefined ? '' : `; for example ${yaml(one.example)}`}`,
  ]);
}

/** As it is written after `key=`: YAML in one line, without quotes where none are needed. */
function yaml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(yaml).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, inner]) => `${key}: ${yaml(inner)}`);
    return `{${entries.join(', ')}}`;
  }
  return typeof value === 'string' && /^[\w./-]+$/.test(value) ? value : JSON.stringify(value);
}

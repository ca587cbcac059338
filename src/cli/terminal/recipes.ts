import type { TSchema } from 'typebox';
import { describeKeys, type KeyDescription } from '../../config/recipe-keys.js';
import { listRecipes, type RecipeHeader, type RecipeKind } from '../../config/recipes.js';
import { asJson } from './json.js';
import type { Terminal } from './terminal.js';
import { labelled } from './table.js';
import { widthOf } from './width.js';

type Screen = Pick<Terminal, 'columns' | 'paint'>;

export const RECIPE_FLAGS = {
  list: { type: 'boolean', help: 'list the recipes that come with qalign: what each does and needs' },
  keys: { type: 'boolean', help: 'list every key of a recipe: type, default, meaning' },
} as const;

/** The output of `--list` or `--keys`; undefined without these flags. */
export async function recipePage(
  kind: RecipeKind,
  schema: TSchema,
  { list, keys, json }: { readonly list: boolean; readonly keys: boolean; readonly json: boolean },
  screen: Screen,
): Promise<string | undefined> {
  if (keys) return keyPage(schema, json, screen);
  if (!list) return undefined;
  const recipes = await listRecipes(kind);
  return json ? asJson(recipes) : text(recipeLines(recipes, screen));
}

/** The output of `--keys`. */
export function keyPage(schema: TSchema, json: boolean, screen: Screen): string {
  const keys = describeKeys(schema);
  return json ? asJson(keys) : text(keyLines(keys, screen));
}

const text = (lines: readonly string[]): string => `${lines.join('\n')}\n`;

/** `--list`: the name of each recipe, what it does, what it needs, and the commands that prepare it. */
export function recipeLines(recipes: readonly RecipeHeader[], { columns, paint }: Screen): string[] {
  const width = Math.max(...recipes.map(({ name }) => name.length)) + 1;
  return recipes.flatMap(({ name, what, needs, prepare }) =>
    labelled(paint('bold', name), width, [what, `needs ${needs}`, ...prepare.map((line) => `  ${line}`)], columns),
  );
}

/** `--keys`: each key with its default and type, and its meaning on the next line. */
export function keyLines(keys: readonly KeyDescription[], { columns, paint }: Screen): string[] {
  return keys.flatMap((one) => [
    ...labelled(
      paint('bold', one.key),
      widthOf(one.key) + (one.default === undefined ? 1 : 0),
      [
        `${one.default === undefined ? '' : `= ${yaml(one.default)}  `}(${one.type}${one.required ? '; required' : ''})`,
      ],
      columns,
    ),
    ...labelled(
      '',
      3,
      [`${one.meaning}${one.example === undefined ? '' : `; for example ${yaml(one.example)}`}`],
      columns,
    ),
  ]);
}

/** A value as written after `key=`: one line of YAML without unnecessary quotes. */
export function yaml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(yaml).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, inner]) => `${key}: ${yaml(inner)}`);
    return `{${entries.join(', ')}}`;
  }
  return typeof value === 'string' && /^[\w./-]+$/.test(value) ? value : JSON.stringify(value);
}

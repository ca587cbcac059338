/** Configuration schemas → tables of their keys. */
import type { TSchema } from 'typebox';
import { yaml } from '../../src/cli/terminal/recipes.js';
import { DatasetSpec } from '../../src/datasets/spec.js';
import { Questions } from '../../src/config/datasets.js';
import { EvaluateRecipe } from '../../src/config/evaluate.js';
import { ModelSchema } from '../../src/config/models.js';
import { PromptSchema } from '../../src/config/prompts.js';
import {
  isNode,
  keysOf,
  literalsOf,
  nodeOf,
  typeInWords,
  type SchemaKey,
  type SchemaNode,
} from '../../src/config/recipe-keys.js';
import { ServeConfig } from '../../src/config/serve.js';
import { TrainRecipe } from '../../src/config/train.js';
import { ENVIRONMENT } from './environment.js';
import { code, GENERATED, literal, page, prose, sentence, table } from './markdown.js';

export interface KeyTable {
  readonly title: string;
  readonly schema: TSchema;
  /** Below docs/schema. */
  readonly file: string;
  readonly about: string;
}

export const RECIPE_TABLES: readonly KeyTable[] = [
  {
    title: 'Training recipe',
    schema: TrainRecipe,
    file: 'train-recipe.json',
    about:
      'Read by `qalign train` and `POST /v1/train_runs`. The recipes of `configs/train/` are listed by `qalign train --list`.',
  },
  {
    title: 'Evaluation recipe',
    schema: EvaluateRecipe,
    file: 'evaluate-recipe.json',
    about:
      'Read by `qalign evaluate` and `POST /v1/evaluations`. The recipes of `configs/evaluate/` are listed by `qalign evaluate --list`.',
  },
  {
    title: 'Model',
    schema: ModelSchema,
    file: 'model.json',
    about: 'A file of `configs/models/`. `--model NAME` and the key `model` of recipes name it.',
  },
  {
    title: 'Prompt',
    schema: PromptSchema,
    file: 'prompt.json',
    about: 'A file of `configs/prompts/`. `--prompt NAME` and the key `prompt` of recipes name it.',
  },
  {
    title: 'Dataset',
    schema: DatasetSpec,
    file: 'dataset.json',
    about:
      'A file of `configs/datasets/`: which columns of which label files mean what. `qalign dataset convert` reads it.',
  },
  {
    title: 'Questions of a dataset',
    schema: Questions,
    file: 'questions.json',
    about: 'A file of `configs/datasets/questions/`. The key `questions` of a dataset names it.',
  },
];

const schemaLine = (file: string): string =>
  `[JSON Schema](../schema/${file}): an editor with the YAML language server completes keys if a file has the line \`# yaml-language-server: $schema=PATH\`.`;

export const recipesPage = (): string =>
  page(
    GENERATED,
    '# Recipes and descriptions',
    'Every key of the YAML files of [configs](../../configs/README.md). `key=value` on the command line overrides a key of a recipe, inner keys with dots (`learning_rates.default=1e-5`). Unknown keys are errors. `[]` means each entry of a list, and `NAME` a name that you choose.',
    ...RECIPE_TABLES.flatMap(({ title, schema, file, about }) => [
      `## ${title}`,
      `${about} ${schemaLine(file)}`,
      keyTable(schema),
    ]),
  );

export const servicePage = (): string =>
  page(
    GENERATED,
    '# Configuration of the service',
    '`qalign serve [FILE.yaml] [key=value …]` reads these keys; all are optional. [configs/serve.yaml](../../configs/serve.yaml) is an example.',
    schemaLine('serve.json'),
    '## Keys',
    keyTable(ServeConfig),
    '## Environment variables',
    'Set them for the process that runs `qalign`. A flag or a key takes precedence over its variable. Only variables of the service begin with `QALIGN_SERVE_`.',
    table(
      ['Variable', 'Default', 'Meaning'],
      ENVIRONMENT.map(({ name, fallback, meaning }) => [code(name), fallback === '' ? 'none' : fallback, meaning]),
    ),
  );

/** A row for each key. Required keys are marked instead of a default. */
export function keyTable(schema: TSchema): string {
  return table(
    ['Key', 'Type', 'Default', 'Meaning'],
    keysOf(nodeOf(schema)).map((key) => [
      code(key.key),
      typeOf(key.node),
      fallbackOf(key),
      meaningOf(key).replace(NAMED_DEFAULT_SENTENCE, '.'),
    ]),
  );
}

/** Schemas with a separate section → link to the section. */
export type Sections = ReadonlyMap<SchemaNode, string>;

/** A row for each field of a JSON object; `required` is the heading of "yes" and "no". */
export function fieldTable(schema: TSchema, required: string, sections: Sections = new Map()): string {
  return table(
    ['Field', 'Type', required, 'Meaning'],
    keysOf(nodeOf(schema), (node) => sections.has(node)).map((key) => [
      code(key.key),
      typeOf(key.node, sections),
      key.required ? 'yes' : 'no',
      meaningOf(key, sections),
    ]),
  );
}

/** A list of fixed length: "list of 2 × number", "list of text and whole number". */
function listOf(items: readonly SchemaNode[], sections: Sections): string {
  const types = items.map((one) => typeOf(one, sections));
  return new Set(types).size === 1 ? `list of ${types.length} × ${types[0]}` : `list of ${types.join(' and ')}`;
}

export function typeOf(node: SchemaNode, sections: Sections = new Map()): string {
  const place = sections.get(node);
  if (place !== undefined) return place;
  if (node.type === 'array' && isNode(node.items)) return `list of ${typeOf(node.items, sections)}`;
  const values = literalsOf(node);
  if (values !== undefined) return values.map(literal).join(', ');
  if (node.type === 'boolean') return '`true` or `false`';
  if (node.anyOf !== undefined) return node.anyOf.map((one) => typeOf(one, sections)).join(' or ');
  if (node.type === 'array' && Array.isArray(node.items)) return listOf(node.items as readonly SchemaNode[], sections);
  if (node.patternProperties !== undefined)
    return `name: ${Object.values(node.patternProperties)
      .map((one) => typeOf(one, sections))
      .join(' or ')}`;
  const [word = '', ...limits] = typeInWords(node).split(', ');
  const all = [...limits, ...(node.pattern === undefined ? [] : [`matching ${code(node.pattern)}`])];
  return `${prose(word)}${all.length === 0 ? '' : ` (${all.join(', ')})`}`;
}

/** "(default: X)" at the end of a description, of a key whose default the schema does not have. */
const NAMED_DEFAULT = / \(default: ([^()]+)\)$/;
const NAMED_DEFAULT_SENTENCE = / \(default: [^()]+\)\.(?=$| Example:)/;

function fallbackOf({ node, required }: SchemaKey): string {
  if (required) return 'required';
  if (node.default !== undefined) return code(yaml(node.default));
  return prose(NAMED_DEFAULT.exec(node.description ?? '')?.[1] ?? 'none');
}

export function meaningOf({ key, node }: Pick<SchemaKey, 'key' | 'node'>, sections?: Sections): string {
  if (node.description === undefined && sections?.has(node) === true) return '';
  if (node.description === undefined) throw new Error(`the key ${key} has no description in its schema`);
  const example = node.examples?.[0];
  return `${prose(sentence(node.description))}${example === undefined ? '' : ` Example: ${code(yaml(example))}.`}`;
}

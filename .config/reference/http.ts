import type { TSchema } from 'typebox';
import { EvaluateRecipe } from '../../src/config/evaluate.js';
import { nodeOf, type SchemaNode } from '../../src/config/recipe-keys.js';
import { TrainRecipe } from '../../src/config/train.js';
import { DatasetRecord } from '../../bridge/protocol/record.js';
import { TrainEvent } from '../../bridge/protocol/train.js';
import { ScoreFailureSchema, ScoreResultSchema } from '../../src/api/result.js';
import { NAMED_SCHEMAS } from '../../src/server/component-schemas.js';
import { describeService } from '../../src/server/openapi.js';
import type { Route } from '../../src/server/route.js';
import { ROUTES } from '../../src/server/routes/index.js';
import { fieldTable, meaningOf, typeOf, type Sections } from './keys.js';
import { anchor, code, GENERATED, link, page, prose, sentence, table } from './markdown.js';

interface Operation {
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly description?: string;
    readonly schema: SchemaNode;
  }[];
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

const ELSEWHERE = new Map<TSchema, string>([
  [ScoreResultSchema, 'result.md#scores'],
  [ScoreFailureSchema, 'result.md#failures'],
  [DatasetRecord, 'result.md#records'],
  [TrainEvent, 'result.md#training-events'],
  [TrainRecipe, 'recipes.md#training-recipe'],
  [EvaluateRecipe, 'recipes.md#evaluation-recipe'],
]);

/** The named schemas of the OpenAPI document → a link to their fields. @param from this page, or none for itself */
export const schemaSections = (from = ''): Sections =>
  new Map(
    Object.entries({ ...NAMED_SCHEMAS, DatasetRecord, TrainEvent }).map(([name, schema]) => [
      nodeOf(schema),
      link(name, ELSEWHERE.get(schema) ?? `${from}#${anchor(name)}`),
    ]),
  );

const SECTIONS = schemaSections();
const titleOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string => `${method.toUpperCase()} ${path}`;

export function httpPage(): string {
  const routes = ROUTES as readonly Route[];
  const { paths, webhooks } = describeService(routes) as unknown as {
    paths: Record<string, Record<string, Operation>>;
    webhooks: { job_ended: { post: Operation } };
  };
  const webhook = webhooks.job_ended.post;
  const tags = [...new Set(routes.map(({ tag }) => tag))];
  return page(
    GENERATED,
    '# HTTP',
    'Every route of `qalign serve`. The service describes itself at `GET /openapi.json` (OpenAPI 3.1) and `GET /docs`. If the service has API keys, send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`. `admin` includes all scopes.',
    table(
      ['Route', 'Scope', 'What it does'],
      routes.map((route) => [
        link(code(titleOf(route)), `#${anchor(titleOf(route))}`),
        route.scope,
        prose(sentence(route.summary)),
      ]),
    ),
    ...tags.flatMap((tag) => [
      `## Routes: ${tag}`,
      ...routes
        .filter((route) => route.tag === tag)
        .map((route) => routePart(route, paths[route.path]![route.method]!)),
    ]),
    '## Webhooks',
    prose(sentence(webhook.summary)),
    prose(webhook.description),
    table(
      ['Header', 'Meaning'],
      (webhook.parameters ?? []).map(({ name, description = '' }) => [code(name), prose(sentence(description))]),
    ),
    `Body: ${contentOf(NAMED_SCHEMAS['JobMessage']!)}.`,
    '## Schemas',
    ...Object.entries(NAMED_SCHEMAS)
      .filter(([, schema]) => !ELSEWHERE.has(schema))
      .flatMap(([name, schema]) => [`### ${name}`, describe(schema)]),
  );
}

function routePart(route: Route, operation: Operation): string {
  const { parameters = [], description, responses } = operation;
  const bodies = Object.entries(route.body ?? {});
  const failures = Object.entries(responses).filter(([status]) => route.answers[Number(status)] === undefined);
  return page(
    `### ${titleOf(route)}`,
    prose(sentence(route.summary)),
    prose(description),
    parameters.length === 0
      ? ''
      : table(
          ['Parameter', 'In', 'Type', 'Required', 'Meaning'],
          parameters.map(({ name, in: place, required, description, schema }) => [
            code(name),
            place,
            typeOf(schema),
            required ? 'yes' : 'no',
            description === undefined ? meaningOf({ key: name, node: schema }) : prose(sentence(description)),
          ]),
        ),
    bodies.length === 0
      ? ''
      : table(
          ['Body', 'Content'],
          bodies.map(([type, schema]) => [code(type), contentOf(schema)]),
        ),
    ...bodies.flatMap(([type, schema]) => inline(schema, 'Required', type)),
    table(
      ['Answer', 'Content type', 'Content', 'Meaning'],
      Object.entries(route.answers).map(([status, { description, schema, types = [] }]) => [
        status,
        [...(isJson(schema) && !types.includes('text/event-stream') ? ['application/json'] : []), ...types]
          .map(code)
          .join(', '),
        isJson(schema) ? contentOf(schema!) : '',
        prose(sentence(description)),
      ]),
    ),
    ...Object.entries(route.answers).flatMap(([status, { schema }]) =>
      isJson(schema) ? inline(schema!, 'Always there', status) : [],
    ),
    `Errors: ${failures
      .flatMap(([status, { description }]) =>
        [...description.matchAll(/`([A-Z_]+)`:/g)].map(([, name = '']) => `${status} ${code(name)}`),
      )
      .join(', ')}.`,
  ).trimEnd();
}

const isJson = (schema: TSchema | undefined): boolean =>
  schema !== undefined && (nodeOf(schema).properties !== undefined || nodeOf(schema).type === 'object');

/** A link where the schema has a name; its fields otherwise stand below. */
function contentOf(schema: TSchema): string {
  const node = nodeOf(schema);
  if (SECTIONS.has(node)) return SECTIONS.get(node)!;
  if (Object.keys(node.properties ?? {}).length > 0) return 'the fields below';
  return node.description === undefined ? typeOf(node) : prose(node.description);
}

function inline(schema: TSchema, required: string, of: string): string[] {
  const node = nodeOf(schema);
  const hasFields = Object.keys(node.properties ?? {}).length > 0;
  return SECTIONS.has(node) || !hasFields ? [] : [`Fields of ${code(of)}:`, fieldTable(schema, required, SECTIONS)];
}

function describe(schema: TSchema): string {
  const { description } = nodeOf(schema);
  const others: Sections = new Map([...SECTIONS].filter(([node]) => node !== nodeOf(schema)));
  return page(
    description === undefined ? '' : prose(sentence(description)),
    fieldTable(schema, 'Required', others),
  ).trimEnd();
}

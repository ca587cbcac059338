import type { TSchema } from 'typebox';
import { ERROR_CODES, type ErrorCode } from '../../bridge/protocol/errors.js';
import { packageVersion } from '../base/package-root.js';
import type { Example, Route } from './route.js';
import { NAMED_SCHEMAS } from './component-schemas.js';

type Json = Record<string, unknown>;

/** Errors that any route can return. */
const EVERYWHERE: readonly ErrorCode[] = ['UNAUTHORIZED', 'FORBIDDEN', 'RATE_LIMITED', 'INTERNAL', 'SHUTTING_DOWN'];
/** Error codes of reading a body, the same for every route. */
const READING: readonly ErrorCode[] = [
  'BODY_INVALID',
  'BODY_TOO_LARGE',
  'BODY_UNSUPPORTED',
  'MALFORMED',
  'OVERLOADED',
  'DEADLINE_EXCEEDED',
];

/** Builds the OpenAPI 3.1 document of the routes from the schemas that validate bodies and answers. */
export function describeService(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method]: operation(route) };
  return {
    openapi: '3.1.0',
    info: {
      title: 'qalign',
      version: packageVersion,
      license: { name: 'MIT', identifier: 'MIT' },
      description:
        'Visual scores over HTTP. All errors have the same body. Their `code` is from one registry, and `retryable` states whether the same request can succeed later. Requests can have the headers `traceparent` (W3C) and `X-Request-Id`; answers always have them.',
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    security: [{ bearer: [] }, { key: [] }],
    paths,
    webhooks: { job_ended: { post: JOB_ENDED } },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
      schemas: Object.fromEntries(
        Object.entries(NAMED_SCHEMAS).map(([name, schema]) => [name, convert(schema, schema)]),
      ),
    },
  };
}

/** Messages that this service sends, for their receivers. */
const JOB_ENDED: Json = {
  operationId: 'webhook_job_ended',
  tags: ['jobs'],
  summary: 'a job with a webhook has ended',
  description:
    'Signed as in Standard Webhooks: `v1,` and the HMAC-SHA256 of `ID.TIMESTAMP.BODY` in base64, with the bytes behind `whsec_` as its key. With several secrets there is one signature for each, separated by spaces. Any 2xx within 10 s acknowledges the message. After any other answer, or none, the message is sent again for 28 hours, also after restarts of the service. Status 410 ends the attempts. Redirects are not followed. A message can arrive twice, with the same `webhook-id`.',
  security: [],
  parameters: [
    ['webhook-id', 'id of the message, the same for each attempt'],
    ['webhook-timestamp', 'time of the attempt in seconds since 1970'],
    ['webhook-signature', '`v1,` and the signature, once for each secret'],
  ].map(([name, description]) => ({ name, in: 'header', required: true, description, schema: { type: 'string' } })),
  requestBody: {
    required: true,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/JobMessage' } } },
  },
  responses: {
    '2XX': { description: 'received' },
    410: { description: 'the receiver wants no further messages about this job' },
  },
};

function operation(route: Route): Json {
  const { params, query, headers = {}, body, scope } = route;
  const example = (read: (example: Example) => unknown): { example?: unknown } => {
    const found = route.examples.map(read).find((value) => value !== undefined);
    return found === undefined ? {} : { example: found };
  };
  const properties = (schema: Route['params']): [string, TSchema][] => Object.entries(schema?.properties ?? {});
  const parameters = [
    ...properties(params).map(([name, schema]) => ({
      name,
      in: 'path',
      required: true,
      schema: convert(schema),
      ...example(({ params }) => params?.[name]),
    })),
    ...properties(query).map(([name, schema]) => ({
      name,
      in: 'query',
      required: query?.required?.includes(name) ?? false,
      style: 'form',
      explode: false,
      schema: convert(schema),
    })),
    ...Object.entries(headers).map(([name, description]) => ({
      name,
      in: 'header',
      required: false,
      description,
      schema: { type: 'string' },
    })),
  ];
  return {
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    description: [
      route.description,
      scope === 'open'
        ? 'Needs no key.'
        : scope === 'any'
          ? 'Needs a key of any scope.'
          : `Needs a key with the scope \`${scope}\`.`,
    ]
      .filter((part) => part !== undefined)
      .join('\n\n'),
    ...(scope === 'open' ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: Object.fromEntries(
              Object.entries(body).map(([type, schema]) => [
                type,
                { schema: convert(schema), ...bodyExamples(route, type) },
              ]),
            ),
          },
        }),
    responses: { ...answers(route), ...failures(route) },
  };
}

/** `POST /v1/jobs/{id}/results` → `post_v1_jobs_id_results`. */
const operationId = ({ method, path }: Pick<Route, 'method' | 'path'>): string =>
  `${method}${path.replaceAll(/[^\w]+/g, '_').replace(/_$/, '')}`;

function bodyExamples({ examples }: Route, type: string): Json {
  const rows = examples.flatMap(({ name, body, text }) =>
    type === 'application/json' && body !== undefined
      ? [[name, { value: body }]]
      : text?.type === type
        ? [[name, { value: text.body }]]
        : [],
  );
  return rows.length === 0 ? {} : { examples: Object.fromEntries(rows) as Json };
}

function answers({ answers }: Route): Json {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { description, schema, types = [] }]) => {
      const all =
        schema === undefined
          ? types
          : (schema as { type?: string }).type === 'string' || types.includes('text/event-stream')
            ? types
            : ['application/json', ...types];
      return [
        status,
        {
          description,
          content: Object.fromEntries(
            all.map((type) => [
              type,
              {
                schema:
                  schema !== undefined && (type === 'application/json' || type === 'text/event-stream')
                    ? convert(schema)
                    : { type: 'string' },
              },
            ]),
          ),
        },
      ];
    }),
  );
}

/** Errors by status. A status for which the route defines an answer keeps it. */
function failures(route: Route): Json {
  const codes = [
    ...new Set([
      ...(route.scope === 'open' ? ['INTERNAL' as const] : EVERYWHERE),
      ...(route.params !== undefined || route.query !== undefined ? ['BODY_INVALID' as const] : []),
      ...(route.body === undefined ? [] : READING),
      ...(route.errors ?? []),
    ]),
  ];
  const body = { $ref: '#/components/schemas/ErrorAnswer' };
  const { failureSchema } = route;
  const content = {
    'application/json': { schema: failureSchema === undefined ? body : { anyOf: [body, convert(failureSchema)] } },
  };
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes)
    byStatus.set(ERROR_CODES[code].httpStatus, [...(byStatus.get(ERROR_CODES[code].httpStatus) ?? []), code]);
  const known = Object.fromEntries(
    [...byStatus]
      .filter(([status]) => route.answers[status] === undefined)
      .map(([status, some]) => [
        status,
        {
          description: some.map((code) => `\`${code}\`: ${ERROR_CODES[code].sentence}`).join('\n\n'),
          content,
          ...(status === 429 || status === 503
            ? { headers: { 'Retry-After': { description: 'seconds', schema: { type: 'integer' } } } }
            : {}),
        },
      ]),
  );
  return { ...known, default: { description: 'any other error of the registry', content } };
}

/** Fields with a default are optional: the service fills them in. */
function withoutDefaults(schema: object): object {
  const { required, properties, ...rest } = schema as {
    required?: unknown;
    properties?: Readonly<Record<string, { default?: unknown }>>;
  };
  if (!Array.isArray(required) || properties === undefined) return schema;
  const needed = required.filter((key: string) => properties[key]?.default === undefined);
  return { ...rest, properties, ...(needed.length === 0 ? {} : { required: needed }) };
}

/**
 * Converts TypeBox's draft-07 schemas to 2020-12, as OpenAPI 3.1 needs: tuples differ, and named schemas become
 * references.
 */
function convert(schema: unknown, inside?: TSchema): unknown {
  if (Array.isArray(schema)) return schema.map((one) => convert(one));
  if (typeof schema !== 'object' || schema === null) return schema;
  const name = schema === inside ? undefined : Object.entries(NAMED_SCHEMAS).find(([, named]) => named === schema)?.[0];
  if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
  const { items, additionalItems, ...rest } = withoutDefaults(schema) as { items?: unknown; additionalItems?: unknown };
  const tuple = Array.isArray(items);
  return {
    ...Object.fromEntries(
      Object.entries(rest).map(([key, value]) => [
        key,
        key === 'default' || key === 'enum' || key === 'const' || key === 'required' ? value : convert(value),
      ]),
    ),
    ...(items === undefined ? {} : tuple ? { prefixItems: convert(items), items: false } : { items: convert(items) }),
    ...(additionalItems === undefined || tuple ? {} : { additionalItems }),
  };
}

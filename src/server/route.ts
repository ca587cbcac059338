import type { Request, Response, Router } from 'express';
import { Convert } from 'typebox/value';
import type { Static, TObject, TSchema } from 'typebox';
import { problemWith } from '../../bridge/validate.js';
import { QalignError, type ErrorCode } from '../base/errors.js';
import type { Client, Scope } from './http/auth.js';
import type { Services } from './services.js';

/** One request as a handler sees it: checked, named, and with a signal that ends when the client goes away. */
export interface Call<P = unknown, Q = unknown> {
  readonly req: Request;
  readonly res: Response;
  readonly params: P;
  readonly query: Q;
  readonly client: Client;
  readonly requestId: string;
  readonly traceparent: string;
  /** How long ago it came, in ms. */
  ageMs(): number;
  /** Aborted when the client is gone. */
  readonly gone: AbortSignal;
  readonly services: Services;
  /** Sends JSON after checking it against the route's schema of this status. */
  answer(status: number, body: unknown): void;
}

export interface Answer {
  readonly description: string;
  readonly schema?: TSchema;
  /** Content types beside or instead of application/json. */
  readonly types?: readonly string[];
}

/** A request that works as it stands, shown in the documentation and sent by a test. */
export interface Example {
  readonly name: string;
  readonly status: number;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** A body that is not JSON, with its type. */
  readonly text?: { readonly type: string; readonly body: string };
}

/**
 * A row of the service. Everything about it stands here: the router mounts it, the OpenAPI document, the tests of its
 * examples and the fuzz run read it.
 */
export interface Route {
  readonly method: 'get' | 'post' | 'delete';
  /** OpenAPI's way of writing parameters: `/v1/jobs/{id}`. */
  readonly path: string;
  /** `open`: without a key; `any`: every key. */
  readonly scope: Scope | 'open' | 'any';
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: TObject;
  readonly query?: TObject;
  readonly headers?: Readonly<Record<string, string>>;
  /** By content type. JSON bodies are checked by the handler through `readJson`. */
  readonly body?: Readonly<Record<string, TSchema>>;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Codes of the registry that it may answer with, beside those of every route. */
  readonly errors?: readonly ErrorCode[];
  readonly examples: readonly Example[];
  handle(call: Call): Promise<void>;
}

type ValueOf<S> = S extends TObject ? Static<S> : Record<string, never>;

export function defineRoute<P extends TObject | undefined = undefined, Q extends TObject | undefined = undefined>(
  route: Omit<Route, 'params' | 'query' | 'handle'> & {
    params?: P;
    query?: Q;
    handle(call: Call<ValueOf<P>, ValueOf<Q>>): Promise<void>;
  },
): Route {
  return route as unknown as Route;
}

/** Throws BODY_INVALID with the place of the first problem. */
export function requireValid<S extends TSchema>(schema: S, value: unknown, what: string): Static<S> {
  const problem = problemWith(schema, value);
  if (problem !== undefined)
    throw new QalignError('BODY_INVALID', `The ${what} does not match its schema at ${problem}.`);
  return value as Static<S>;
}

/** Words of a query or form → what the schema asks for: numbers, booleans, lists divided by commas. */
export function fromWords<S extends TObject>(
  schema: S,
  words: Readonly<Record<string, unknown>>,
  what: string,
): Static<S> {
  const lists = Object.entries(schema.properties)
    .filter(([, property]) => (property as { type?: string }).type === 'array')
    .map(([key]) => key);
  const split = Object.fromEntries(
    Object.entries(words).map(([key, value]) => [
      key,
      lists.includes(key) && typeof value === 'string' ? value.split(',').map((word) => word.trim()) : value,
    ]),
  );
  return requireValid(schema, Convert(schema, split), what);
}

/** Mounts the routes and, for each of their paths, a refusal of the other methods. */
export function mountRoutes(
  router: Router,
  routes: readonly Route[],
  services: Services,
  authorise: (req: Request, scope: Route['scope']) => Client,
): void {
  const paths = new Map<string, string[]>();
  for (const route of routes) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    paths.set(path, [...(paths.get(path) ?? []), route.method.toUpperCase()]);
    router[route.method](path, async (req, res) => {
      res.locals['route'] = route.path;
      const client = authorise(req, route.scope);
      res.locals['client'] = client.name;
      await services.limitRate(req, res, client, route.scope);
      await route.handle(toCall(route, req, res, client, services));
    });
  }
  for (const [path, methods] of paths) {
    router.all(path, (req, res) => {
      res.set('Allow', methods.join(', '));
      throw new QalignError('METHOD_NOT_ALLOWED', `${req.path} takes ${methods.join(' or ')}, not ${req.method}.`);
    });
  }
}

function toCall(route: Route, req: Request, res: Response, client: Client, services: Services): Call {
  const gone = new AbortController();
  res.on('close', () => {
    if (!res.writableFinished) gone.abort(new QalignError('CANCELLED', 'The client went away.'));
  });
  return {
    req,
    res,
    client,
    services,
    gone: gone.signal,
    ageMs: () => performance.now() - (res.locals['startedAt'] as number),
    requestId: res.locals['requestId'] as string,
    traceparent: res.locals['traceparent'] as string,
    params: route.params === undefined ? {} : requireValid(route.params, req.params, 'path'),
    query: fromWords(route.query ?? NOTHING, req.query as Record<string, unknown>, 'query'),
    answer(status, body) {
      const schema = route.answers[status]?.schema;
      const problem = schema === undefined ? `there is no schema for status ${status}` : problemWith(schema, body);
      if (problem !== undefined)
        throw new QalignError('INTERNAL', `The answer of ${route.path} does not match its schema at ${problem}.`);
      res.status(status).json(body);
    },
  };
}

const NOTHING = { type: 'object', properties: {}, additionalProperties: false } as unknown as TObject;

import type { Request, Response, Router } from 'express';
import type { Static, TObject, TSchema } from 'typebox';
import { problemWith } from '../../bridge/validate.js';
import { QalignError, type ErrorCode } from '../base/errors.js';
import type { Caller } from './http/caller.js';
import type { Client, RouteScope } from './http/client-key.js';
import type { LimitRate } from './http/rate-limit.js';
import { sendJson } from './packed-answer.js';
import { fromWords, requireValid } from './http/valid.js';

export interface Answer {
  readonly description: string;
  readonly schema?: TSchema;
  /** Content types beside or instead of application/json. */
  readonly types?: readonly string[];
}

/** A complete request that works, shown in the documentation and sent by a test. */
export interface Example {
  readonly name: string;
  readonly status: number;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** A body that is not JSON, with its content type. */
  readonly text?: { readonly type: string; readonly body: string };
}

/**
 * One route of the service with all its properties. The router, the OpenAPI document, the tests of its examples and the
 * fuzz test all read it. Only the router needs the services of the handler.
 */
export interface Route<Services = never> {
  readonly method: 'get' | 'post' | 'delete';
  /** Parameters as in OpenAPI: `/v1/jobs/{id}`. */
  readonly path: string;
  readonly scope: RouteScope;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: TObject;
  readonly query?: TObject;
  readonly headers?: Readonly<Record<string, string>>;
  /** By content type. Handlers validate JSON bodies with `readJson`. */
  readonly body?: Readonly<Record<string, TSchema>>;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Schema of an error body other than `ErrorAnswer`. */
  readonly failureSchema?: TSchema;
  /** Error codes of this route, beside those of every route. */
  readonly errors?: readonly ErrorCode[];
  readonly examples: readonly Example[];
  readonly handle: (call: Caller, services: Services) => Promise<void>;
}

type ValueOf<S> = S extends TObject ? Static<S> : Record<string, never>;

/** The type of the second parameter names the services that the handler needs. */
export function defineRoute<
  P extends TObject | undefined = undefined,
  Q extends TObject | undefined = undefined,
  Services = unknown,
>(
  route: Omit<Route, 'params' | 'query' | 'handle'> & {
    params?: P;
    query?: Q;
    handle: (call: Caller<ValueOf<P>, ValueOf<Q>>, services: Services) => Promise<void>;
  },
): Route<Services> {
  return route as unknown as Route<Services>;
}

/** Checks that a request passes before its handler. */
export interface Guards {
  readonly authorise: (req: Request, scope: RouteScope) => Client;
  readonly limitRate: LimitRate;
}

/** Mounts the routes, and refuses other methods on their paths. */
export function mountRoutes<Services>(
  router: Router,
  routes: readonly Route<Services>[],
  services: Services,
  { authorise, limitRate }: Guards,
): void {
  const paths = new Map<string, string[]>();
  for (const route of routes) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    paths.set(path, [...(paths.get(path) ?? []), route.method.toUpperCase()]);
    router[route.method](path, async (req, res) => {
      res.locals['route'] = route.path;
      const client = authorise(req, route.scope);
      res.locals['client'] = client.name;
      res.locals['clientId'] = client.id;
      await limitRate(req, res, route.scope);
      await route.handle(toCaller(route, req, res, client), services);
    });
  }
  for (const [path, methods] of paths) {
    router.all(path, (req, res) => {
      res.set('Allow', methods.join(', '));
      throw new QalignError('METHOD_NOT_ALLOWED', `${req.path} takes ${methods.join(' or ')}, not ${req.method}.`);
    });
  }
}

function toCaller(route: Route, req: Request, res: Response, client: Client): Caller {
  const gone = new AbortController();
  res.on('close', () => {
    if (!res.writableFinished) gone.abort(new QalignError('CANCELLED', 'The client went away.'));
  });
  return {
    req,
    res,
    client,
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
      sendJson(req, res.status(status), body);
    },
  };
}

const NOTHING = { type: 'object', properties: {}, additionalProperties: false } as unknown as TObject;

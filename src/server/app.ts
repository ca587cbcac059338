import cors from 'cors';
import express, { type Express } from 'express';
import helmet from 'helmet';
import { QalignError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { Route } from './route.js';
import { createAccessLog } from './http/access-log.js';
import { createErrorHandler } from './http/error-handler.js';
import { nameRequest } from './http/trace.js';
import type { Metrics } from './metrics.js';
import { mountRoutes, type Guards } from './route.js';
import { ROUTES, type Services } from './routes/index.js';
import type { Traces } from './traces/traces.js';

export interface AppParts extends Guards {
  readonly services: Services;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'requests' | 'duration' | 'rejects'>;
  readonly traces: Pick<Traces, 'request'>;
  /** All routes by default. */
  readonly routes?: readonly Route<Services>[];
  /** Origins whose pages can call the service. */
  readonly origins: readonly string[];
}

/** Builds the Express app of the service from its parts. It never listens: `serve.ts` and tests do. */
export function createApp({ services, log, metrics, traces, routes = ROUTES, origins, ...guards }: AppParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use(nameRequest);
  app.use(
    createAccessLog(log, (answered) => {
      const { method, route, status, seconds } = answered;
      metrics.requests.inc({ method, route, status: String(status) });
      metrics.duration.observe({ route }, seconds);
      traces.request(answered);
    }),
  );
  // Without its own TLS the service must not redirect browsers to https.
  app.use(
    helmet({
      contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
      strictTransportSecurity: false,
    }),
  );
  if (origins.length > 0)
    app.use(
      cors({
        origin: [...origins],
        exposedHeaders: ['Retry-After', 'X-Request-Id', 'Idempotency-Replayed'],
        maxAge: 600,
      }),
    );
  mountRoutes(app, routes, services, guards);
  app.use((req) => {
    throw new QalignError(
      'ROUTE_NOT_FOUND',
      `There is no ${req.method} ${req.path.slice(0, 200)}; /openapi.json lists what there is.`,
    );
  });
  app.use(createErrorHandler(log, (code) => metrics.rejects.inc({ reason: code })));
  return app;
}

import cors from 'cors';
import express, { type Express } from 'express';
import helmet from 'helmet';
import { QalignError } from '../base/errors.js';
import { createAccessLog } from './http/access-log.js';
import type { createAuthoriser } from './http/auth.js';
import { createErrorHandler } from './http/error-handler.js';
import { mountRoutes } from './route.js';
import { ROUTES } from './routes/index.js';
import type { Services } from './services.js';
import { nameRequest } from './http/trace.js';

/** The service as a function of its parts. It never listens: `serve.ts` and tests do. */
export function createApp(services: Services, authorise: ReturnType<typeof createAuthoriser>): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use(nameRequest);
  app.use(createAccessLog(services.log, services.metrics));
  // without TLS of its own it must not send browsers to https
  app.use(
    helmet({
      contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
      strictTransportSecurity: false,
    }),
  );
  const { cors_origins: origins } = services.config;
  if (origins.length > 0)
    app.use(
      cors({
        origin: [...origins],
        exposedHeaders: ['Retry-After', 'X-Request-Id', 'Idempotency-Replayed'],
        maxAge: 600,
      }),
    );
  mountRoutes(app, ROUTES, services, authorise);
  app.use((req) => {
    throw new QalignError(
      'ROUTE_NOT_FOUND',
      `There is no ${req.method} ${req.path.slice(0, 200)}; /openapi.json lists what there is.`,
    );
  });
  app.use(createErrorHandler(services.log, (code) => services.metrics.rejects.inc({ reason: code })));
  return app;
}

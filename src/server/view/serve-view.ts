/** The boundary of src/server/view: the page on stored results, without a model or Python. It writes nothing. */
import { randomBytes } from 'node:crypto';
import express, { type Express } from 'express';
import helmet from 'helmet';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import type { Results } from '../../recipes/view/results.js';
import { createAuthoriser } from '../http/auth.js';
import { createErrorHandler } from '../http/error-handler.js';
import { nameRequest } from '../http/trace.js';
import { listen, openServer, urlOf } from '../listener.js';
import { mountRoutes } from '../route.js';
import { createRowPictures } from './row-picture.js';
import { viewRoutes, type ViewServices } from './routes.js';
import { createStoredFolders } from './stored-folders.js';

/** What is shown: rows, or the folders of runs or evaluations. */
export type Shown =
  | { readonly kind: 'results'; readonly results: Results }
  | { readonly kind: 'run' | 'evaluation'; readonly folders: readonly string[] };

export interface RunningView {
  /** Address with a secret, which other users of the machine do not know. */
  readonly url: string;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const CONNECTIONS = 256;

/** Listens on 127.0.0.1. @throws QalignError CONFIG_INVALID if the port is in use */
export async function serveView(shown: Shown, { port, log }: { port: number; log: Logger }): Promise<RunningView> {
  const secret = randomBytes(18).toString('base64url');
  const ending = new AbortController();
  const folders = createStoredFolders(shown.kind === 'results' ? 'run' : shown.kind, foldersOf(shown));
  const services: ViewServices = {
    kind: shown.kind,
    results: shown.kind === 'results' ? shown.results : undefined,
    folders,
    stored: folders.stored,
    picture: createRowPictures(),
    ending: ending.signal,
    config: { page: true },
  };
  const app = createViewApp(services, secret, log);
  const server = openServer({ handle: app }, { host: HOST, port, connections: CONNECTIONS });
  await listen(server, { host: HOST, port, connections: CONNECTIONS }, '--port N');
  return {
    url: `${urlOf(server, HOST)}/${secret}/`,
    close() {
      ending.abort();
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      return closed;
    },
  };
}

const foldersOf = (shown: Shown): readonly string[] => (shown.kind === 'results' ? [] : shown.folders);

/** Every path is below the secret. Requests with a foreign Host (DNS rebinding) are refused. */
function createViewApp(services: ViewServices, secret: string, log: Logger): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use(nameRequest);
  app.use(
    helmet({
      contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
      strictTransportSecurity: false,
    }),
  );
  const ofThisMachine = createAuthoriser({ all: () => [] }, true);
  const router = express.Router();
  // without its slash at the end, the page would load its files from another path
  router.use((req, res, next) => (req.originalUrl === `/${secret}` ? res.redirect(`/${secret}/`) : next()));
  mountRoutes(router, viewRoutes(services.kind), services, {
    authorise: (req) => ofThisMachine(req, 'any'),
    limitRate: async () => {},
  });
  app.use(`/${secret}`, router);
  app.use(() => {
    throw new QalignError(
      'ROUTE_NOT_FOUND',
      'There is no such address; use the whole address that "qalign view" printed.',
    );
  });
  app.use(createErrorHandler(log, () => {}));
  return app;
}

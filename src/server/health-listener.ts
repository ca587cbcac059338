import type { Logger } from '../base/logger.js';
import type { ServeConfig } from '../config/serve.js';
import { createApp, type AppParts } from './app.js';
import { createAuthoriser, isLoopback } from './http/auth.js';
import type { KeyStore } from './http/key-store.js';
import { listen, openServer, urlOf } from './listener.js';
import { healthz, metrics, readyz } from './routes/health.js';

/** Maximum number of connections. Only a few probes and scrapers connect. */
const CONNECTIONS = 64;

export interface HealthListener {
  readonly url: string;
  close(): Promise<void>;
}

interface HealthParts {
  readonly config: Pick<ServeConfig, 'health_host' | 'health_port'>;
  readonly services: AppParts['services'] & Pick<AppParts, 'metrics' | 'traces'>;
  readonly log: Logger;
  readonly keys: KeyStore;
}

/**
 * Serves health on a separate address, which answers even while clients hold every connection of the service. Undefined
 * where none is configured. @throws QalignError CONFIG_INVALID
 */
export async function openHealthListener({
  config,
  services,
  log,
  keys,
}: HealthParts): Promise<HealthListener | undefined> {
  const { health_host: host, health_port: port } = config;
  if (port === null) return undefined;
  const onlyHere = isLoopback(host);
  const app = createApp({
    services,
    log,
    metrics: services.metrics,
    traces: services.traces,
    routes: [healthz, readyz, metrics],
    origins: [],
    authorise: createAuthoriser(onlyHere ? { ...keys, all: () => [] } : keys, onlyHere),
    limitRate: async () => {},
  });
  const listener = { host, port, connections: CONNECTIONS };
  const server = openServer({ handle: app }, listener);
  await listen(server, listener);
  return {
    url: urlOf(server, host),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

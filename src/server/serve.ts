/**
 * The boundary of src/server: HTTP around the recipes, authorisation, and state that survives a restart. It computes no
 * score.
 */
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ServeConfig } from '../config/serve.js';
import { QalignError } from '../base/errors.js';
import type { Db } from '../base/files/sqlite.js';
import type { Logger } from '../base/logger.js';
import { createScorer as createRealScorer } from '../recipes/score/create-scorer.js';
import type { Scorer, ScorerOptions } from '../recipes/score/scorer.js';
import { createApp } from './app.js';
import { limitConnections } from './connection-limit.js';
import { openHealthListener, type HealthListener } from './health-listener.js';
import { listen, openServer, urlOf } from './listener.js';
import { createAuthoriser, isLoopback } from './http/auth.js';
import { createFloodGuard, type FloodGuard } from './http/flood-guard.js';
import { createKeyStore, withGivenKey, type KeyStore } from './http/key-store.js';
import { createRateLimit } from './http/rate-limit.js';
import type { Services } from './routes/index.js';
import type { Admission } from './score/admission.js';
import type { ModelPool } from './score/model-pool.js';
import { claimDataDir, isOpenToOthers, unusable } from './data-dir.js';
import { openServiceDatabase } from './service-database.js';
import { createServices } from './services.js';

export interface ServeParts {
  readonly config: ServeConfig;
  readonly log: Logger;
  /** A key from outside the key store, with the scopes score and jobs. */
  readonly apiKey?: string | undefined;
  /** Tests of fetching allow loopback; otherwise only public addresses are fetched. */
  readonly isAllowedAddress?: (address: string) => boolean;
  /** Tests of the HTTP side provide a scorer without Python. */
  readonly createScorer?: (options: ScorerOptions) => Promise<Scorer>;
}

export interface RunningService {
  readonly url: string;
  /** Address of the health listener, where there is one. */
  readonly healthUrl: string | undefined;
  readonly services: Services;
  /** Resolves when every model of the configuration is loaded. */
  readonly loaded: Promise<void>;
  /** Stops accepting, lets requests finish, stores the rest on disk, and ends within `shutdown_ms`. */
  close(): Promise<void>;
}

/**
 * Listens at once; `/readyz` returns 503 until a model is loaded. The data directory is locked until the service ends.
 * @throws QalignError CONFIG_INVALID (address, data directory), DATA_DIR_IN_USE, OUTPUT_UNWRITABLE, USAGE
 */
export async function serve(parts: ServeParts): Promise<RunningService> {
  const { data_dir } = parts.config;
  const release = claimDataDir(data_dir);
  let database: Db | undefined;
  const closeFiles = (): void => {
    database?.close();
    release();
  };
  try {
    if (isOpenToOthers(data_dir)) parts.log.warn('other users can read the data folder', { data_dir });
    database = openServiceDatabase(data_dir);
    return await start(parts, database, closeFiles);
  } catch (error) {
    closeFiles();
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error : unusable(resolve(data_dir), error);
  }
}

async function start(
  { config, log, apiKey, createScorer = createRealScorer, isAllowedAddress }: ServeParts,
  database: Db,
  closeFiles: () => void,
): Promise<RunningService> {
  const keys = openKeys(database, config, apiKey);
  const ending = new AbortController();
  const stopping = new AbortController();
  const services = createServices({
    config,
    log,
    database,
    createScorer,
    isAllowedAddress,
    ending: ending.signal,
    stopping: stopping.signal,
  });
  const { models, jobs, admission, metrics, traces } = services;
  const app = createApp({
    services,
    log,
    metrics,
    traces,
    origins: config.cors_origins,
    authorise: createAuthoriser(keys, isLoopback(config.host), config.cors_origins),
    limitRate: createRateLimit(config.rate_per_minute),
  });
  const guard = createFloodGuard(app, {
    metrics,
    log,
    waitS: () => waitOf(models, admission),
    refusing: admission.refusing,
  });
  const listener = { host: config.host, port: config.port, connections: config.limits.connections };
  const server = openServer(guard, listener);
  const dropped = (): void => metrics.rejects.inc({ reason: 'CONNECTIONS' });
  server.on('drop', dropped); // Node reset the connection before an answer was possible.
  limitConnections(server, config.limits.address_connections, dropped);
  const health = await openHealthListener({ config, services, log, keys });
  await listen(server, listener).catch(async (error: unknown) => {
    await health?.close();
    throw error;
  });
  const url = urlOf(server, config.host);
  log.info('listening', {
    url,
    keys: keys.all().length,
    ...(health === undefined ? {} : { health: health.url }),
  });
  const loaded = Promise.all(config.models.map((name) => models.load(name))).then(() => jobs.resume());
  loaded.catch(() => {});
  const close = (): Promise<void> =>
    end({ config, log, closeFiles, services, guard, server, health, ending, stopping });
  return { url, healthUrl: health?.url, services, loaded, close };
}

function openKeys(database: Db, { host }: ServeConfig, apiKey: string | undefined): KeyStore {
  const keys = withGivenKey(createKeyStore(database), apiKey);
  if (isLoopback(host) || keys.all().length > 0) return keys;
  throw new QalignError(
    'CONFIG_INVALID',
    `host=${host} accepts requests of other machines, but there is no API key. Make one with "qalign keys create NAME --scope score", set QALIGN_API_KEY, or listen on 127.0.0.1.`,
  );
}

interface Running {
  readonly config: ServeConfig;
  readonly log: Logger;
  readonly closeFiles: () => void;
  readonly services: ReturnType<typeof createServices>;
  readonly guard: FloodGuard;
  readonly server: Server;
  readonly health: HealthListener | undefined;
  readonly ending: AbortController;
  readonly stopping: AbortController;
}

/** Requests have 70 % of `shutdown_ms` to finish. Then all are cut off, and the models have the rest to close. */
async function end({
  config,
  log,
  closeFiles,
  services,
  guard,
  server,
  health,
  ending,
  stopping,
}: Running): Promise<void> {
  const { jobs, runQueue, models, spool, webhooks, traces } = services;
  const over = (): QalignError => new QalignError('SHUTTING_DOWN', 'The service is shutting down.');
  log.info('ending', { within_ms: config.shutdown_ms });
  ending.abort();
  // A training ends after its step. A longer step ends when it sees that its parent is gone.
  const saved = Promise.all([
    jobs.close(),
    Promise.race([runQueue.close(), sleep(config.shutdown_ms * 0.7, undefined, { ref: false })]),
  ]);
  const closed = new Promise<void>((done) => server.close(() => done()));
  const idle = setInterval(() => server.closeIdleConnections(), 100); // Node keeps connections that become idle later.
  const late = setTimeout(() => {
    stopping.abort(over());
    server.closeAllConnections();
  }, config.shutdown_ms * 0.7);
  await Promise.all([closed, saved]);
  guard.close();
  clearTimeout(late);
  clearInterval(idle);
  stopping.abort(over());
  await Promise.race([models.close(), new Promise((done) => setTimeout(done, config.shutdown_ms * 0.3).unref())]);
  await Promise.race([traces.close(), sleep(1_000, undefined, { ref: false })]);
  await webhooks.close(); // Jobs that ended during the shutdown have stored their webhooks.
  rmSync(spool, { recursive: true, force: true });
  await health?.close();
  closeFiles();
  log.info('ended', {});
}

/** In seconds, for the first model. */
function waitOf(models: ModelPool, admission: Admission): number {
  const [scorer] = models.loaded.values();
  return scorer === undefined ? 1 : (admission.predict(scorer) ?? 0) / 1000;
}

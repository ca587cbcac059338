import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ServeConfig } from '../config/serve.js';
import { QalignError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { runsRoot } from '../runs/run-directory.js';
import { createScorer as createRealScorer } from '../recipes/score/create-scorer.js';
import type { Scorer, ScorerOptions } from '../recipes/score/score.js';
import { createAdmission, type Admission } from './score/admission.js';
import { createApp } from './app.js';
import { createAuthoriser, isLoopback } from './http/auth.js';
import { createIdempotency } from './http/idempotency.js';
import { createJobRunner } from './jobs/runner.js';
import { createJobStore } from './jobs/store.js';
import { createKeyStore } from './http/key-store.js';
import { createMemoryBudget } from './http/memory-budget.js';
import { createMetrics } from './metrics.js';
import { createModelPool, type ModelPool } from './score/model-pool.js';
import { createRateLimit } from './http/rate-limit.js';
import { openServiceDatabase } from './service-database.js';
import { createHider } from './http/redact-paths.js';
import type { Services } from './services.js';
import { createTurnstile } from './http/flood-guard.js';
import { createRunMethods } from './runs/methods.js';
import { createRunQueue } from './runs/queue.js';
import { createServiceRunStore } from './runs/store.js';

export interface ServeParts {
  readonly config: ServeConfig;
  readonly log: Logger;
  /** Tests of fetching allow loopback; without it only public addresses are fetched from. */
  readonly isAllowedAddress?: (address: string) => boolean;
  /** Tests of the HTTP side alone bring a scorer without Python. */
  readonly createScorer?: (options: ScorerOptions) => Promise<Scorer>;
}

export interface RunningService {
  readonly url: string;
  readonly services: Services;
  /** Settles when every model of the configuration is loaded. */
  readonly loaded: Promise<void>;
  /** Stops accepting, lets run what runs, keeps the rest on the disk, ends within `shutdown_ms`. */
  close(): Promise<void>;
}

/**
 * Listens at once; `/readyz` answers 503 until a model is loaded. @throws QalignError CONFIG_INVALID (address), USAGE
 */
export async function serve({
  config,
  log,
  createScorer = createRealScorer,
  isAllowedAddress,
}: ServeParts): Promise<RunningService> {
  const loopback = isLoopback(config.host);
  const dataDir = resolve(config.data_dir);
  const database = openServiceDatabase(dataDir);
  const keys = createKeyStore(database);
  if (!loopback && keys.all().length === 0) {
    database.close();
    throw new QalignError(
      'CONFIG_INVALID',
      `host=${config.host} can be reached from other machines and there is no API key; make one with "qalign keys create NAME --scope score" or listen on 127.0.0.1.`,
    );
  }
  const spool = join(dataDir, 'uploads');
  rmSync(spool, { recursive: true, force: true }); // what a killed service left
  mkdirSync(spool, { recursive: true, mode: 0o700 });
  const ending = new AbortController();
  const stopping = new AbortController();
  const metrics = createMetrics();
  const admission = createAdmission();
  const memory = createMemoryBudget(config.limits.memory_mb * 1024 ** 2);
  const models = createModelPool({
    config,
    log,
    createScorer,
    onBatch: (model, batch) => metrics.onBatch(model, batch),
    signal: stopping.signal,
  });
  metrics.watch(models.loaded, admission, () => memory.used);
  const jobStore = createJobStore(database);
  const jobs = createJobRunner({
    config,
    root: join(dataDir, 'jobs'),
    store: jobStore,
    models,
    metrics,
    log,
    hold: { spool, memory },
    isAllowedAddress,
  });
  const runs = resolve(config.runs_dir ?? runsRoot());
  const hider = createHider([dataDir, runs, ...(config.root === null ? [] : [config.root])]);
  const runStore = createServiceRunStore(database);
  const runQueue = createRunQueue({
    root: join(dataDir, 'works'),
    store: runStore,
    methods: createRunMethods({ root: config.root, runs }),
    hide: hider.hide,
    log,
  });
  runQueue.recover();
  jobs.recover();
  const services: Services = {
    isAllowedAddress,
    runQueue,
    runStore,
    places: { root: config.root, runs },
    hidden: hider.hidden,
    hideIn: hider.hideIn,
    jobs,
    jobStore,
    idempotency: createIdempotency(database),
    config,
    log,
    models,
    admission,
    memory,
    metrics,
    spool,
    ending: ending.signal,
    limitRate: createRateLimit(config.rate_per_minute),
  };
  const turnstile = createTurnstile(createApp(services, createAuthoriser(keys, loopback, config.cors_origins)), {
    metrics,
    log,
    waitS: () => waitOf(models, admission),
    refusing: admission.refusing,
  });
  const server = createServer(
    { requestTimeout: 300_000, headersTimeout: 30_000, keepAliveTimeout: 65_000 },
    turnstile.handle,
  );
  server.on('checkContinue', turnstile.handleExpecting);
  server.maxConnections = config.limits.connections;
  server.on('drop', () => metrics.rejects.inc({ reason: 'CONNECTIONS' })); // reset by Node before anything can be said
  await listen(server, config);
  const { port } = server.address() as AddressInfo;
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  log.info('listening', { url, keys: keys.all().length });
  const loaded = Promise.all(config.models.map((name) => models.load(name))).then(() => jobs.resume());
  loaded.catch(() => {});

  const close = async (): Promise<void> => {
    log.info('ending', { within_ms: config.shutdown_ms });
    ending.abort();
    // a training ends after its step; one whose step is longer sees that its parent is gone and ends then
    const saved = Promise.all([
      jobs.close(),
      Promise.race([runQueue.close(), sleep(config.shutdown_ms * 0.7, undefined, { ref: false })]),
    ]);
    const closed = new Promise<void>((done) => server.close(() => done()));
    const idle = setInterval(() => server.closeIdleConnections(), 100); // Node keeps those that become idle later
    const late = setTimeout(() => {
      stopping.abort(new QalignError('SHUTTING_DOWN', 'The service is ending.'));
      server.closeAllConnections();
    }, config.shutdown_ms * 0.7);
    await Promise.all([closed, saved]);
    turnstile.close();
    clearTimeout(late);
    clearInterval(idle);
    stopping.abort(new QalignError('SHUTTING_DOWN', 'The service is ending.'));
    await Promise.race([models.close(), new Promise((done) => setTimeout(done, config.shutdown_ms * 0.3).unref())]);
    rmSync(spool, { recursive: true, force: true });
    database.close();
    log.info('ended', {});
  };
  return { url, services, loaded, close };
}

/** In seconds, for the first model. */
function waitOf(models: ModelPool, admission: Admission): number {
  const [scorer] = models.loaded.values();
  return scorer === undefined ? 1 : (admission.predict(scorer) ?? 0) / 1000;
}

function listen(server: ReturnType<typeof createServer>, { host, port, limits }: ServeConfig): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      fail(
        new QalignError(
          'CONFIG_INVALID',
          `The address ${host}:${port} ${taken ? 'is in use; choose another with port=N' : `cannot be listened on (${cause.code ?? cause.message})`}.`,
          { cause },
        ),
      );
    });
    server.listen({ port, host, backlog: limits.connections }, done);
  });
}

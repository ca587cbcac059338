import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Db } from '../base/files/sqlite.js';
import type { Logger } from '../base/logger.js';
import type { ServeConfig } from '../config/serve.js';
import { createDecodeBudget, type DecodeBudget } from '../media/budget/decode-budget.js';
import { canLimitMemory } from '../media/video/tools/tool-limits.js';
import type { Scorer, ScorerOptions } from '../recipes/score/scorer.js';
import { runsRoot } from '../runs/run-directory.js';
import { LOCAL_ID } from './http/client-key.js';
import { createIdempotency } from './http/idempotency.js';
import { createMemoryBudget } from './http/memory-budget.js';
import { fileRules } from './http/path-root.js';
import { createRedactor } from './http/redact-paths.js';
import { createJobRunner } from './jobs/runner.js';
import { createJobStore } from './jobs/store.js';
import { createMetrics, type Metrics } from './metrics.js';
import type { Services } from './routes/index.js';
import { createRunMethods } from './runs/methods.js';
import { createRunQueue } from './runs/queue.js';
import { createServiceRunStore } from './runs/store.js';
import { createStoredRuns } from './runs/stored.js';
import { createAdmission } from './score/admission.js';
import { createModelPool } from './score/model-pool.js';
import { createTraces, type Traces } from './traces/traces.js';
import { createWebhooks, type Webhooks } from './webhooks/webhooks.js';

export interface ServicesParts {
  readonly config: ServeConfig;
  readonly log: Logger;
  readonly database: Db;
  readonly createScorer: (options: ScorerOptions) => Promise<Scorer>;
  readonly isAllowedAddress: ((address: string) => boolean) | undefined;
  /** Aborts at shutdown: nothing new starts and event streams end. */
  readonly ending: AbortSignal;
  /** Aborts when the time for shutdown is over: loading models are abandoned. */
  readonly stopping: AbortSignal;
}

/** Creates the services of the routes. State of an earlier process is continued or removed. */
export function createServices(
  parts: ServicesParts,
): Services & { readonly metrics: Metrics; readonly webhooks: Webhooks; readonly traces: Traces } {
  const { config, log, database, createScorer, isAllowedAddress, ending, stopping } = parts;
  const dataDir = resolve(config.data_dir);
  if (!canLimitMemory()) log.warn('this system cannot limit the memory of ffmpeg: limits.ffmpeg_mb has no effect', {});
  const spool = emptySpool(dataDir);
  const metrics = createMetrics();
  const admission = createAdmission();
  const memory = createMemoryBudget(config.limits.memory_mb * 1024 ** 2, (client) =>
    client === LOCAL_ID ? Infinity : config.limits.key_memory_mb * 1024 ** 2,
  );
  const decodeBudget = createDecodeBudget(config.limits.decode_mb * 1024 ** 2, { refuses: true });
  const models = createModelPool({
    config,
    log,
    createScorer,
    decodeBudget,
    onBatch: (model, batch) => metrics.onBatch(model, batch),
    signal: stopping,
  });
  const webhooks = createWebhooks({ config, database, log, isAllowedAddress, count: metrics.countWebhook });
  metrics.watch(models.loaded, admission, {
    memoryUsed: () => memory.used,
    decodeBudget,
    webhooksWaiting: () => webhooks.waiting(),
  });
  const traces = createTraces(config, log);
  const jobStore = createJobStore(database);
  const jobs = createJobRunner({
    config,
    root: join(dataDir, 'jobs'),
    store: jobStore,
    models,
    metrics,
    webhooks,
    traces,
    log,
    storage: { spool, memory },
    isAllowedAddress,
  });
  const idempotency = createIdempotency(database, log);
  const shared = { traces, config, models, admission, memory, metrics, spool, ending, idempotency, isAllowedAddress };
  const runs = createRunServices(parts, dataDir, decodeBudget);
  const stored = createStoredRuns({ ...shared, ...runs });
  const services = { ...shared, jobs, jobStore, webhooks, ...runs, stored };
  services.runQueue.recover();
  jobs.recover();
  webhooks.send(); // State of an earlier process.
  return services;
}

/** Trainings and evaluations. */
function createRunServices({ config, database, log }: ServicesParts, dataDir: string, decodeBudget: DecodeBudget) {
  const runs = resolve(config.runs_dir ?? runsRoot());
  const places = { ...fileRules(config), runs };
  const { redact, redactError } = createRedactor([dataDir, runs, ...(config.root === null ? [] : [config.root])]);
  const runStore = createServiceRunStore(database);
  const runQueue = createRunQueue({
    root: join(dataDir, 'works'),
    store: runStore,
    methods: createRunMethods({ config, places, store: runStore, decodeBudget }),
    redact,
    log,
  });
  return { runQueue, runStore, places, redact, redactError };
}

/** Directory of uploads in progress. Its contents are from a killed service. */
function emptySpool(dataDir: string): string {
  const spool = join(dataDir, 'uploads');
  rmSync(spool, { recursive: true, force: true });
  mkdirSync(spool, { recursive: true, mode: 0o700 });
  return spool;
}

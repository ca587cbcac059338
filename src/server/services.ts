import type { Request, Response } from 'express';
import type { ServeConfig } from '../config/serve.js';
import type { Logger } from '../base/logger.js';
import type { Admission } from './score/admission.js';
import type { Client } from './http/auth.js';
import type { Idempotency } from './http/idempotency.js';
import type { JobRunner } from './jobs/runner.js';
import type { JobStore } from './jobs/store.js';
import type { Metrics } from './metrics.js';
import type { ModelPool } from './score/model-pool.js';
import type { Route } from './route.js';
import type { MemoryBudget } from './http/memory-budget.js';
import type { Places } from './runs/recipes.js';
import type { RunQueue } from './runs/queue.js';
import type { ServiceRunStore } from './runs/store.js';

/** What the routes stand on. Made by `createServices`, or by a test from parts of its own. */
export interface Services {
  readonly config: ServeConfig;
  readonly log: Logger;
  readonly models: ModelPool;
  readonly admission: Admission;
  readonly memory: MemoryBudget;
  readonly metrics: Metrics;
  readonly jobs: JobRunner;
  readonly jobStore: JobStore;
  readonly idempotency: Idempotency;
  /** Trainings and evaluations. */
  readonly runQueue: RunQueue;
  readonly runStore: ServiceRunStore;
  /** What requests may name on the disk. */
  readonly places: Places;
  /** A failed promise whose message names no folder of this machine: for `catch`. */
  readonly hidden: (error: unknown) => Promise<never>;
  /** The same for a value that is shown. */
  readonly hideIn: <T>(value: T) => T;
  /** Which addresses URLs may lead to; undefined: public ones. */
  readonly isAllowedAddress: ((address: string) => boolean) | undefined;
  /** Where uploads lie while they are scored. */
  readonly spool: string;
  /** Aborted when the service ends: nothing new is begun, streams of events end. */
  readonly ending: AbortSignal;
  limitRate(req: Request, res: Response, client: Client, scope: Route['scope']): Promise<void>;
}

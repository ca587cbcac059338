import type { Request, Response } from 'express';
import type { ServeConfig } from '../config/serve.js';
import type { Logger } from '../logger.js';
import type { Admission } from './admission.js';
import type { Client } from './auth.js';
import type { Idempotency } from './idempotency.js';
import type { JobRunner } from './job-runner.js';
import type { JobStore } from './job-store.js';
import type { Metrics } from './metrics.js';
import type { ModelPool } from './model-pool.js';
import type { Route } from './route.js';
import type { MemoryBudget } from './memory-budget.js';
import type { Places } from './work-recipes.js';
import type { WorkRunner } from './work-runner.js';
import type { WorkStore } from './work-store.js';

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
  readonly works: WorkRunner;
  readonly workStore: WorkStore;
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

import type { ServeConfig } from '../../config/serve.js';
import type { Logger } from '../../base/logger.js';
import type { JobFolders } from './folders.js';
import type { JobJournal } from './journal.js';
import type { JobResults } from './results.js';
import type { StoredJob } from './store.js';
import type { Metrics } from '../metrics.js';
import type { ModelPool } from '../score/model-pool.js';
import type { SharedMemory } from '../http/memory-budget.js';
import type { Traces } from '../traces/traces.js';

/** Time between two events of a job. */
export const SAVE_MS = 500;

type Counts = Pick<JobResults, 'items' | 'failed' | 'warned' | 'bytes'>;

export interface RunJobParts {
  readonly config: ServeConfig;
  readonly models: ModelPool;
  readonly metrics: Pick<Metrics, 'countItem' | 'countShard'>;
  readonly traces: Pick<Traces, 'job' | 'stagesOf'>;
  readonly log: Logger;
  readonly storage: { readonly spool: string; readonly memory: SharedMemory };
  readonly isAllowedAddress?: ((address: string) => boolean) | undefined;
  readonly folders: JobFolders;
  readonly journal: JobJournal;
  /** True while the service ends: the job stays unfinished and continues at the next start. */
  readonly isEnding: () => boolean;
}

/** Takes the counts of complete items. */
export const takeCounts = (job: StoredJob, { items, failed, warned, bytes }: Counts): void =>
  void Object.assign(job, { done: items, failed, warned, resultBytes: bytes });

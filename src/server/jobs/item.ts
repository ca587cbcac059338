import { setTimeout as sleep } from 'node:timers/promises';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError, type ErrorCode } from '../../base/errors.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';
import { failure } from '../../recipes/score/score-source.js';
import type { CurveOptions } from '../../recipes/score/curve/frame-curve.js';
import type { ScoreOptions, ScoreSource } from '../../recipes/score/scorer.js';
import type { JobPlan } from './store.js';
import type { ModelPool } from '../score/model-pool.js';
import { mediaLimits, nameOf, toSource } from '../score/request-source.js';
import type { ItemSource } from '../../api/score.js';
import { fileRules } from '../http/path-root.js';
import { withoutPath } from '../http/redact-paths.js';
import type { BodyStorage, Cleanup } from '../http/upload.js';
import type { TracedJob, Traces } from '../traces/traces.js';

/** Errors that do not blame the item: it is tried again, up to `jobs.attempts` times. */
const LOST: readonly ErrorCode[] = [
  'WORKER_LOST',
  'WORKER_HUNG',
  'DEVICE_FAILED',
  'PROTOCOL_VIOLATION',
  'OUT_OF_MEMORY',
];
/** Errors that stop all scoring (or fetching, on a full disk): every item waits until it works again. */
const DOWN: readonly ErrorCode[] = [
  'WORKER_START_FAILED',
  'BRIDGE_CLOSED',
  'MODEL_NOT_LOADED',
  'NO_WORKER',
  'OUTPUT_UNWRITABLE',
];
/** Pause before an item or shard is tried again. */
export const PAUSE_MS = 1_000;
/** Whether no descriptor was free, so that no file could be opened. The item is not the cause, and connections end. */
const lacksDescriptors = (error: unknown): boolean =>
  error instanceof Error &&
  (['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '') || lacksDescriptors(error.cause));
/** Number of items of a job that get a span. Spans of millions of items would displace those of requests. */
const TRACED_ITEMS = 100;

/** Whether an error stops all scoring, so that the work waits until it works again. */
export const isDown = (error: unknown): boolean =>
  (error instanceof QalignError && DOWN.includes(error.code)) || lacksDescriptors(error);
/** Whether a worker was lost, which does not blame the item. */
export const isLost = (error: QalignError): boolean => LOST.includes(error.code);

export const curveOptions = ({ per_frame, per_frame_window }: Partial<JobPlan>): CurveOptions => ({
  perFrame: per_frame,
  perFrameWindow: per_frame_window,
});

export interface ItemScorerParts {
  readonly config: ServeConfig;
  readonly models: ModelPool;
  readonly plan: JobPlan;
  readonly isAllowedAddress?: ((address: string) => boolean) | undefined;
  readonly storage: BodyStorage;
  readonly traces: Pick<Traces, 'stagesOf'>;
  readonly traced: TracedJob | undefined;
  readonly signal: AbortSignal;
  readonly onWait: (reason: string) => void;
}

/**
 * Scores an item of a job: one outcome for each task, even if workers fail meanwhile. Throws only when the job ends.
 */
export function createItemScorer({
  config,
  models,
  plan,
  isAllowedAddress: isAllowed,
  storage,
  traces,
  traced,
  signal,
  onWait,
}: ItemScorerParts): (entry: { index: number; item: ItemSource }) => Promise<ScoreOutcome[]> {
  const limits = mediaLimits(config);
  const { tasks, scale, prompt, strict, map } = plan;
  const options = { tasks, scale, prompt, strict, map, ...curveOptions(plan), limits, lane: 'bulk', signal } as const;
  let untraced = TRACED_ITEMS;
  const traceOf = (index: number): Pick<ScoreOptions, 'traceparent' | 'onStage'> =>
    traced === undefined || untraced-- <= 0
      ? {}
      : { traceparent: traced.traceparent, onStage: traces.stagesOf(traced.traceparent, index) };

  async function once(item: ItemSource, index: number): Promise<ScoreOutcome[] | QalignError> {
    let media: ScoreSource['media'] | undefined;
    const cleanup: Cleanup = [];
    try {
      const source = await toSource(
        item,
        index,
        { files: fileRules(config), allowUrls: config.allow_urls, limits, isAllowed, storage },
        signal,
        cleanup,
      );
      media = source.media;
      const outcomes = await models.get(plan.model).score(source, { ...options, ...traceOf(index) });
      const lost = outcomes.filter(isFailure).find(({ error }) => LOST.includes(error.code as ErrorCode));
      return lost === undefined
        ? outcomes.map((outcome) => withoutPath(outcome, media))
        : new QalignError(lost.error.code as ErrorCode, lost.error.message);
    } catch (error) {
      signal.throwIfAborted();
      return error instanceof QalignError
        ? error
        : new QalignError('INTERNAL', 'The item failed with an internal error; the log of the service has details.', {
            cause: error,
          });
    } finally {
      await Promise.all(cleanup.map(async (one) => one()));
    }
  }

  return async ({ index, item }) => {
    for (let attempt = 1; ;) {
      const found = await once(item, index);
      if (!(found instanceof QalignError)) return found;
      const down = isDown(found);
      if (!down && !(isLost(found) && attempt < config.jobs.attempts)) {
        return tasks.map((task) => failure({ input: nameOf(item, index) }, task, found));
      }
      if (down) onWait(found.message);
      else attempt += 1;
      await sleep(PAUSE_MS, undefined, { signal });
    }
  };
}

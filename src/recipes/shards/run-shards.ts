import { QalignError } from '../../base/errors.js';
import { orderedMap } from '../../base/ordered-map.js';
import { isOfOneInput, orCancelled } from '../score/stop-errors.js';
import type { ShardError, ShardEvent, ShardLine } from './events.js';
import { below, outputName } from './names.js';
import { OtherSettings } from './result/shard-meta.js';
import {
  presentResult,
  scoreShard,
  type ShardJob,
  type ShardResult,
  type ShardRun,
  type ShardScorer,
} from './score-shard.js';

/** Results that are looked for ahead of the shard at hand; object storage needs some 20 ms for each. */
const LOOKED_AT_AHEAD = 16;
const PROGRESS_MS = 1000;

/** Parts of a run that the command, the library and the worker choose. */
export interface ShardLoop {
  /** Output folder, local or `s3://`. */
  readonly out: string;
  /** Loads the model at the first call. */
  model(): Promise<ShardScorer>;
  /** The score_version of results, without loading the model if it is known otherwise. */
  version(output: string): Promise<string>;
  onEvent(event: ShardEvent): void | Promise<void>;
}

/** Where the result of a line belongs. */
export const jobOf = ({ shard, output }: ShardLine, { format }: Pick<ShardRun, 'format'>, out: string): ShardJob => ({
  shard,
  output: below(out, output ?? outputName(shard, format)),
});

/**
 * Scores shards one after the other. An error of one shard becomes its event; the others continue.
 *
 * @throws QalignError that every further shard would meet: of the model, of a full disk, CANCELLED, and RESUME_MISMATCH
 *   for a result of other settings
 */
export async function runShards(
  lines: AsyncIterable<ShardLine> | Iterable<ShardLine>,
  run: ShardRun,
  loop: ShardLoop,
): Promise<void> {
  const look = async (line: ShardLine): Promise<Looked> => {
    const job = jobOf(line, run, loop.out);
    const started = performance.now();
    const found = await presentResult(run, job, await loop.version(job.output)).catch((error: unknown) =>
      asShardError(error),
    );
    return { line, job, found, seconds: secondsSince(started) };
  };
  try {
    for await (const looked of orderedMap(lines, LOOKED_AT_AHEAD, look, run.signal)) await oneShard(looked, run, loop);
  } catch (error) {
    throw orCancelled(error, run.signal);
  }
}

interface Looked {
  readonly line: ShardLine;
  readonly job: ShardJob;
  readonly found: ShardResult | QalignError | undefined;
  readonly seconds: number;
}

async function oneShard({ line, job, found, seconds }: Looked, run: ShardRun, loop: ShardLoop): Promise<void> {
  const { shard, index } = line;
  const failed = (error: QalignError): void | Promise<void> =>
    loop.onEvent({ event: 'failed', shard, index, error: errorOf(error) });
  if (found instanceof QalignError) return failed(found);
  const done = (result: ShardResult, took: number): void | Promise<void> =>
    loop.onEvent({ event: 'done', shard, index, output: job.output, ...orderOf(result, took) });
  if (found !== undefined) return done(found, seconds);
  const model = await loop.model();
  const started = performance.now();
  let told = started;
  const onItems = (items: number): void => {
    if (performance.now() - told < PROGRESS_MS) return;
    told = performance.now();
    void loop.onEvent({ event: 'progress', shard, index, items });
  };
  const result = await scoreShard(run, job, model, onItems).catch((error: unknown) => {
    run.signal.throwIfAborted();
    return asShardError(error);
  });
  await (result instanceof QalignError ? failed(result) : done(result, secondsSince(started)));
}

const orderOf = (
  { items, failed, commit }: ShardResult,
  seconds: number,
): ShardResult & { readonly seconds: number } => ({
  items,
  failed,
  seconds,
  commit,
});

const secondsSince = (started: number): number => Math.round(performance.now() - started) / 1000;

/** Errors that every further shard would meet. */
const OF_ALL = ['OUTPUT_UNWRITABLE', 'CANCELLED', 'PACKAGE_MISSING', 'DEVICE_UNAVAILABLE', 'MODEL_NOT_LOADED'];

/** Returns the error of one shard. @throws any other error */
function asShardError(error: unknown): QalignError {
  if (!isOfOneInput(error) || error instanceof OtherSettings || OF_ALL.includes(error.code)) throw error;
  return error;
}

/** The fields of an error in events. */
export function errorOf(error: unknown): ShardError {
  if (!(error instanceof QalignError)) return { code: 'INTERNAL', message: String(error), retry: false };
  // a disk that is full now can have space on another host, or later
  return { code: error.code, message: error.message, retry: error.retryable || error.code === 'OUTPUT_UNWRITABLE' };
}

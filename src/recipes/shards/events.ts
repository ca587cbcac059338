/** The lines between a shard worker and its driver: shards on stdin, events on stdout, one JSON value a line. */

/** A shard to score. */
export interface ShardLine {
  /** A path, or `s3://bucket/key`. */
  readonly shard: string;
  /** Position in the expanded list, from 0. */
  readonly index: number;
  /**
   * Name of the result below the output folder, as `expandShards` gives it. It depends on the folder that all shards of
   * the list share, which a worker does not know.
   * @default the base name of the shard with the ending of results
   */
  readonly output?: string | undefined;
}

/** The model answers; the first event of a worker. */
export interface ReadyEvent {
  readonly event: 'ready';
  /** Version of this package. */
  readonly qalign: string;
  readonly score_version: string;
  readonly device: string;
  /** Version of Python; empty if unknown. */
  readonly python: string;
  /** Version of torch; empty if unknown. */
  readonly torch: string;
}

/** Number of scored items of the current shard; at most one event a second. */
export interface ProgressEvent {
  readonly event: 'progress';
  readonly shard: string;
  readonly index: number;
  readonly items: number;
}

/** A result is complete. */
export interface DoneEvent {
  readonly event: 'done';
  readonly shard: string;
  readonly index: number;
  /** Path or address of the result. */
  readonly output: string;
  /** Number of items, including the failed ones. */
  readonly items: number;
  readonly failed: number;
  /** Wall-clock time in seconds. */
  readonly seconds: number;
  /** `present`: a complete result of the same score_version was there. */
  readonly commit: 'written' | 'present';
}

/** The reason of a failure. `retry`: the same work can succeed later. */
export interface ShardError {
  readonly code: string;
  readonly message: string;
  readonly retry: boolean;
}

/** A shard has no result; the worker continues. */
export interface FailedEvent {
  readonly event: 'failed';
  readonly shard: string;
  readonly index: number;
  readonly error: ShardError;
}

/** The worker cannot continue and ends with an exit code other than 0. */
export interface WorkerErrorEvent {
  readonly event: 'error';
  readonly error: ShardError;
}

/** One line of the stdout of a shard worker. */
export type ShardEvent = ReadyEvent | ProgressEvent | DoneEvent | FailedEvent | WorkerErrorEvent;

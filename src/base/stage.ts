/** One step of an item: decoding, waiting in the queue, or its batch. Times are in ms of `performance.now()`. */
export interface Stage {
  readonly name: 'decode' | 'queue' | 'batch';
  readonly start: number;
  readonly end: number;
  /** For a batch: compute time of the worker, its device, and the number of items and frames. */
  readonly batch?: {
    readonly computeMs: number;
    readonly device: string;
    readonly items: number;
    readonly frames: number;
  };
}

/** Called at the end of each stage. */
export type OnStage = (stage: Stage) => void;

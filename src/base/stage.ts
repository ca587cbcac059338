/** A part of the way of an item through decoding, queue and batch; times in ms of `performance.now()`. */
export interface Stage {
  readonly name: 'decode' | 'queue' | 'batch';
  readonly start: number;
  readonly end: number;
  /** Of a batch: how long the worker computed, where, and how many items and frames it had. */
  readonly batch?: {
    readonly computeMs: number;
    readonly device: string;
    readonly items: number;
    readonly frames: number;
  };
}

/** Hears of each stage as it ends. */
export type OnStage = (stage: Stage) => void;

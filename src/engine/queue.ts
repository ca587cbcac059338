import type { QalignError } from '../base/errors.js';
import { LaneTurns, type Lane } from '../base/lane.js';

/** Pixels as they cross the bridge: `data` is uint8 RGB of shape [frames, size, size, 3]. */
export interface Visual {
  readonly frames: number;
  readonly data: Uint8Array;
}
/** fp32 logits of the five level words and ln Σ exp over the vocabulary, for one prompt. */
export interface PromptAnswer {
  readonly logits: number[];
  readonly logSumExp: number;
}

/** One item on its way through the engine. */
export interface Job {
  readonly id: string;
  readonly visuals: readonly Visual[];
  readonly prompts: readonly string[];
  /** What it costs: every frame goes through the vision encoder once. */
  readonly frames: number;
  readonly lane: Lane;
  /** Place in the lane: items of one caller share a ticket and stay together, whenever each is ready. */
  readonly ticket: number;
  readonly traceparent: string | undefined;
  /** When it was asked for, in ms of performance.now(). */
  readonly since: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (answers: PromptAnswer[]) => void;
  readonly reject: (error: QalignError) => void;
  /** Workers that died under it. */
  losses: number;
  /** It was in a batch that failed as a whole: it goes alone from now on, so that it can only hurt itself. */
  suspect: boolean;
  /** Largest batch it may be in, halved when memory ran out. */
  batchLimit: number;
}

/** The two lanes, which take turns (see LaneTurns). By ticket within a lane; a retried item goes to the front. */
export class JobQueue {
  #lanes: Record<Lane, Job[]> = { interactive: [], bulk: [] };
  #heads: Record<Lane, number> = { interactive: 0, bulk: 0 };
  #frames: Record<Lane, number> = { interactive: 0, bulk: 0 };
  readonly #turns = new LaneTurns();

  get length(): number {
    return this.#size('interactive') + this.#size('bulk');
  }

  push(job: Job): void {
    const lane = this.#lanes[job.lane];
    let at = lane.length;
    while (at > this.#heads[job.lane] && (lane[at - 1] as Job).ticket > job.ticket) at--;
    lane.splice(at, 0, job);
    this.#frames[job.lane] += job.frames;
  }

  /** What waits in a lane, in frames. */
  frames(lane: Lane): number {
    return this.#frames[lane];
  }

  putBack(jobs: readonly Job[]): void {
    for (const lane of ['interactive', 'bulk'] as const) {
      const waiting = this.#lanes[lane].slice(this.#heads[lane]);
      this.#lanes[lane] = [...jobs.filter((job) => job.lane === lane), ...waiting];
      this.#heads[lane] = 0;
    }
    for (const job of jobs) this.#frames[job.lane] += job.frames;
  }

  remove(job: Job): boolean {
    const index = this.#lanes[job.lane].indexOf(job, this.#heads[job.lane]);
    if (index < 0) return false;
    this.#lanes[job.lane].splice(index, 1);
    this.#frames[job.lane] -= job.frames;
    return true;
  }

  /** Everything that waits, in order; the queue is empty afterwards. */
  drain(): Job[] {
    const all = (['interactive', 'bulk'] as const).flatMap((lane) => this.#lanes[lane].slice(this.#heads[lane]));
    this.#lanes = { interactive: [], bulk: [] };
    this.#heads = { interactive: 0, bulk: 0 };
    this.#frames = { interactive: 0, bulk: 0 };
    return all;
  }

  /**
   * The next batch: at least one item, then as many as fit into `maxFrames`. A suspect comes alone, and only when
   * `idle` says that nothing else is on the worker that will get it.
   */
  take(maxFrames: number, idle: boolean): Job[] {
    const lane = this.#turns.next({ interactive: this.#size('interactive'), bulk: this.#size('bulk') });
    if (lane === undefined) return [];
    const first = this.#lanes[lane][this.#heads[lane]] as Job;
    if (first.suspect && !idle) return [];
    const batch: Job[] = [];
    let frames = 0;
    for (let job: Job | undefined = first; job !== undefined; job = this.#lanes[lane][this.#heads[lane]]) {
      const limit = Math.min(job.batchLimit, batch[0]?.batchLimit ?? Infinity);
      const fits =
        batch.length === 0 ||
        (!job.suspect && !first.suspect && batch.length < limit && frames + job.frames <= maxFrames);
      if (!fits) break;
      batch.push(job);
      frames += job.frames;
      this.#heads[lane]++;
    }
    this.#frames[lane] -= frames;
    this.#compact(lane);
    return batch;
  }

  #size(lane: Lane): number {
    return this.#lanes[lane].length - this.#heads[lane];
  }

  /** Taken items are dropped in blocks: shifting an array of thousands one by one is quadratic. */
  #compact(lane: Lane): void {
    if (this.#heads[lane] < 256 && this.#heads[lane] < this.#lanes[lane].length) return;
    this.#lanes[lane] = this.#lanes[lane].slice(this.#heads[lane]);
    this.#heads[lane] = 0;
  }
}

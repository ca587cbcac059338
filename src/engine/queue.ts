import type { WorkerLink } from '../../bridge/client.js';
import type { QalignError } from '../base/errors.js';
import { LaneTurns, type Lane } from '../base/lane.js';
import type { OnStage } from '../base/stage.js';

/**
 * Pixels in the format of the bridge. `data` is uint8 RGB of shape [frames, views · size, size, 3], or [frames, height,
 * width, 3] of `shape`.
 */
export interface Visual {
  readonly frames: number;
  readonly data: Uint8Array;
  /** Size of a frame in pixels, for models that take pictures that are not square. */
  readonly shape?: { readonly width: number; readonly height: number } | undefined;
}
/** A prompt about the frames [from, to) of an item, counted over all its visuals. They are not encoded again. */
export interface FramePrompt {
  readonly text: string;
  readonly frames: readonly [from: number, to: number];
}
/** A prompt of a chat model about all frames: the message of the user and the beginning of the answer. */
export interface ChatPrompt {
  readonly text: string;
  readonly stem: string;
}
/** A string is a prompt about all frames. */
export type Prompt = string | FramePrompt | ChatPrompt;
/** Answer to one prompt: fp32 logits of the five level words, and ln Σ exp over the vocabulary. */
export interface PromptAnswer {
  /** Of chat models: the text that the chat template made, with the stem. */
  readonly rendered?: string;
  /** Of chat models: the token ids of the level words. */
  readonly levelTokens?: Readonly<Record<string, number[]>>;
  readonly logits: number[];
  readonly logSumExp: number;
  /** Number of sequence positions of the prompt and the frames. */
  readonly positions: number;
}

/** A clip that is sent in chunks. One worker keeps its features. */
export interface KeptClip {
  readonly id: string;
  /** The worker that got the first chunk. All later steps go to this worker. */
  link: WorkerLink | undefined;
}

/** One step of a clip. It is sent as a separate message. */
export interface ClipStep {
  readonly kind: 'encode' | 'score' | 'release';
  readonly clip: KeptClip;
  /** Number of frames of the clip that the worker has before this step. */
  readonly at: number;
  /** The frames [from, to) that the prompts of this step count from; default: all. */
  readonly range?: readonly [from: number, to: number] | undefined;
  /** The clip has answers already, and is not counted as another item. */
  readonly isFurther?: boolean | undefined;
}

/** A request to a worker. */
export interface Work {
  readonly visuals: readonly Visual[];
  readonly prompts: readonly Prompt[];
  readonly step?: ClipStep | undefined;
  readonly suspect?: boolean;
}

/** One item, or one step of a clip, in the engine. */
export interface Job extends Work {
  readonly id: string;
  /** The cost: every frame passes the vision encoder once. Frames of other sizes count by their pixels. */
  readonly frames: number;
  readonly lane: Lane;
  /**
   * Position in the lane. Items of one caller share a ticket and stay together, even if they are ready at different
   * times.
   */
  ticket: number;
  readonly traceparent: string | undefined;
  readonly onStage?: OnStage | undefined;
  /** Time of the request in ms of performance.now(). */
  readonly since: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (answers: PromptAnswer[]) => void;
  readonly reject: (error: QalignError) => void;
  /** Number of workers that were lost while computing it. */
  losses: number;
  /** It was in a batch that failed as a whole. It is sent alone from now on, so that it cannot harm other items. */
  suspect: boolean;
  /** Largest batch that can contain it. Halved when memory runs out. */
  batchLimit: number;
  /** Items of different groups are in different batches. */
  readonly group?: object | undefined;
}

/**
 * A queue with two lanes that take turns (see LaneTurns). Each lane is ordered by ticket. A retried item goes to the
 * front.
 */
export class JobQueue {
  #lanes: Record<Lane, Job[]> = { interactive: [], bulk: [] };
  #heads: Record<Lane, number> = { interactive: 0, bulk: 0 };
  #frames: Record<Lane, number> = { interactive: 0, bulk: 0 };
  /** Jobs that only one worker can take. */
  readonly #bound = new Set<Job>();
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
    if (job.step?.clip.link !== undefined) this.#bound.add(job);
  }

  /** Number of waiting frames in a lane. */
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
    this.#bound.delete(job);
    return true;
  }

  /** Removes the jobs that are bound to a worker that is not in `links`. */
  removeOrphans(links: readonly (WorkerLink | undefined)[]): Job[] {
    const orphans = [...this.#bound].filter((job) => !links.includes(job.step?.clip.link));
    for (const job of orphans) this.remove(job);
    return orphans;
  }

  /** Empties the queue and returns all jobs in order. */
  drain(): Job[] {
    const all = (['interactive', 'bulk'] as const).flatMap((lane) => this.#lanes[lane].slice(this.#heads[lane]));
    this.#lanes = { interactive: [], bulk: [] };
    this.#heads = { interactive: 0, bulk: 0 };
    this.#frames = { interactive: 0, bulk: 0 };
    this.#bound.clear();
    return all;
  }

  /**
   * Takes the next batch for a worker: at least one item, and as many as fit into `maxFrames`. A step of a clip is
   * taken alone, and only by the worker that keeps the clip. A suspect is taken alone, and only if `idle` is true: the
   * worker has no other work. An item with more than `mostOfItem` frames is left to a worker with larger batches.
   */
  take(maxFrames: number, idle: boolean, link?: WorkerLink, mostOfItem = Infinity): Job[] {
    const startOf = (lane: Lane): number => this.#start(lane, link, mostOfItem);
    const starts = { interactive: startOf('interactive'), bulk: startOf('bulk') };
    const has = (lane: Lane): number => (starts[lane] < this.#lanes[lane].length ? 1 : 0);
    const lane = this.#turns.next({ interactive: has('interactive'), bulk: has('bulk') });
    if (lane === undefined) return [];
    const start = starts[lane];
    const first = this.#lanes[lane][start] as Job;
    if (first.suspect && !idle) return [];
    const batch = [first];
    let frames = first.frames;
    for (let at = start + 1; at < this.#lanes[lane].length; at++) {
      const job = this.#lanes[lane][at] as Job;
      const alone = [first, job].some((one) => one.suspect || one.step !== undefined);
      const limit = Math.min(job.batchLimit, first.batchLimit);
      if (job.group !== first.group || alone || batch.length >= limit || frames + job.frames > maxFrames) break;
      batch.push(job);
      frames += job.frames;
    }
    this.#frames[lane] -= frames;
    this.#bound.delete(first);
    if (start === this.#heads[lane]) this.#heads[lane] += batch.length;
    else this.#lanes[lane].splice(start, batch.length);
    this.#compact(lane);
    return batch;
  }

  /**
   * Returns the index of the first job that this worker can take. Only few clips run at a time, so few jobs are
   * skipped.
   */
  #start(lane: Lane, link: WorkerLink | undefined, mostOfItem: number): number {
    let at = this.#heads[lane];
    for (; at < this.#lanes[lane].length; at++) {
      const { step, frames } = this.#lanes[lane][at] as Job;
      const owner = step?.clip.link;
      if (owner === undefined ? frames <= mostOfItem : owner === link) break;
    }
    return at;
  }

  #size(lane: Lane): number {
    return this.#lanes[lane].length - this.#heads[lane];
  }

  /** Drops taken items in blocks, because shifting thousands of items one by one is quadratic. */
  #compact(lane: Lane): void {
    if (this.#heads[lane] < 256 && this.#heads[lane] < this.#lanes[lane].length) return;
    this.#lanes[lane] = this.#lanes[lane].slice(this.#heads[lane]);
    this.#heads[lane] = 0;
  }
}

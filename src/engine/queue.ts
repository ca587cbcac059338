import type { WorkerLink } from '../../bridge/client.js';
import type { QalignError } from '../base/errors.js';
import { LaneTurns, type Lane } from '../base/lane.js';
import type { OnStage } from '../base/stage.js';

/** Pixels as they cross the bridge: `data` is uint8 RGB of shape [frames, size, size, 3]. */
export interface Visual {
  readonly frames: number;
  readonly data: Uint8Array;
}
/** fp32 logits of the five level words and ln Σ exp over the vocabulary, for one prompt. */
export interface PromptAnswer {
  readonly logits: number[];
  readonly logSumExp: number;
  /** What prompt and frames took of the sequence. */
  readonly positions: number;
}

/** A clip that is sent in chunks, whose features one worker keeps. */
export interface KeptClip {
  readonly id: string;
  /** The worker that got its first chunk: what follows goes only there. */
  link: WorkerLink | undefined;
}

/** A step of a clip; it is a message of its own. */
export interface ClipStep {
  readonly kind: 'encode' | 'score' | 'release';
  readonly clip: KeptClip;
  /** Frames of the clip that the worker keeps before this step. */
  readonly at: number;
}

/** What is asked of a worker. */
export interface Work {
  readonly visuals: readonly Visual[];
  readonly prompts: readonly string[];
  readonly step?: ClipStep | undefined;
  readonly suspect?: boolean;
}

/** One item, or one step of a clip, on its way through the engine. */
export interface Job extends Work {
  readonly id: string;
  /** What it costs: every frame goes through the vision encoder once. */
  readonly frames: number;
  readonly lane: Lane;
  /** Place in the lane: items of one caller share a ticket and stay together, whenever each is ready. */
  readonly ticket: number;
  readonly traceparent: string | undefined;
  readonly onStage?: OnStage | undefined;
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
  /** Those that only one worker may take. */
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
    this.#bound.delete(job);
    return true;
  }

  /** Removes the jobs that are pinned to a worker other than these. */
  removeOrphans(links: readonly (WorkerLink | undefined)[]): Job[] {
    const orphans = [...this.#bound].filter((job) => !links.includes(job.step?.clip.link));
    for (const job of orphans) this.remove(job);
    return orphans;
  }

  /** Everything that waits, in order; the queue is empty afterwards. */
  drain(): Job[] {
    const all = (['interactive', 'bulk'] as const).flatMap((lane) => this.#lanes[lane].slice(this.#heads[lane]));
    this.#lanes = { interactive: [], bulk: [] };
    this.#heads = { interactive: 0, bulk: 0 };
    this.#frames = { interactive: 0, bulk: 0 };
    this.#bound.clear();
    return all;
  }

  /**
   * The next batch for a worker: at least one item, then as many as fit into `maxFrames`. A step of a clip comes alone,
   * and only to the worker that keeps the clip. A suspect comes alone, and only when `idle` says that nothing else is
   * on the worker.
   */
  take(maxFrames: number, idle: boolean, link?: WorkerLink): Job[] {
    const starts = { interactive: this.#start('interactive', link), bulk: this.#start('bulk', link) };
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
      if (alone || batch.length >= limit || frames + job.frames > maxFrames) break;
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

  /** Where the first job lies that this worker may take; few clips are under way, so few are passed over. */
  #start(lane: Lane, link: WorkerLink | undefined): number {
    let at = this.#heads[lane];
    for (; at < this.#lanes[lane].length; at++) {
      const owner = this.#lanes[lane][at]?.step?.clip.link;
      if (owner === undefined || owner === link) break;
    }
    return at;
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

import { setMaxListeners } from 'node:events';
import type { DeviceMemory } from '../../bridge/protocol/memory.js';
import { QalignError } from '../base/errors.js';
import type { Lane } from '../base/lane.js';
import type { OnStage } from '../base/stage.js';
import { costOf } from '../media/resample/smart-size.js';
import type { BatchGroup, BatchPlace } from './batch-group.js';
import { askWorker } from './messages.js';
import { JobQueue, type Job, type PromptAnswer, type Work } from './queue.js';
import type { DeviceState, Slot } from './slot.js';

export interface BatchReport {
  readonly device: string;
  readonly items: number;
  readonly frames: number;
  /** Number of frames of a full batch. */
  readonly capacity: number;
  /** Milliseconds that each item waited in the queue. */
  readonly queuedMs: readonly number[];
  /** Milliseconds from the time the worker was free to its answer, as measured in Node. It includes the transfer. */
  readonly serviceMs: number;
  /** Compute time in milliseconds, as reported by the worker. */
  readonly computeMs: number;
}

export interface ItemOptions {
  readonly signal?: AbortSignal;
  readonly lane?: Lane;
  /** Items with the same ticket stay together in the queue. See Engine.ticket. */
  readonly ticket?: number;
  /** A place in a group of items that are sent together and with no others. */
  readonly place?: BatchPlace;
  /** W3C trace context, passed to the worker. */
  readonly traceparent?: string;
  /** Called with the waiting and compute time, once per batch that answered the item. */
  readonly onStage?: OnStage;
}

export interface EngineStats {
  readonly queued: number;
  readonly running: number;
  /** Waiting frames by lane, and frames on the workers. */
  readonly queuedFrames: Readonly<Record<Lane, number>>;
  readonly runningFrames: number;
  /** Frames of a full batch of the worker with the largest batches. */
  readonly maxBatchFrames: number;
  /** Frames of a full batch on each worker, added up. */
  readonly batchFrames: number;
  readonly batches: number;
  readonly items: number;
  readonly frames: number;
  readonly workers: readonly WorkerStats[];
}

export interface WorkerStats {
  readonly device: string;
  readonly pid: number | undefined;
  readonly state: DeviceState;
  /** `state` is ready. */
  readonly ready: boolean;
  /** Milliseconds since the oldest unanswered batch was sent. 0 if there is none. */
  readonly oldest_batch_ms: number;
  readonly restarts: number;
  readonly rss_bytes: number;
  /** Memory of a GPU, measured at the end of the last request. Undefined for a CPU and while the worker starts. */
  readonly device_memory?: DeviceMemory | undefined;
  /** Current fit of the batch time. Undefined before the first answer. */
  readonly latency: { readonly baseMs: number; readonly perFrameMs: number } | undefined;
}

/** Owns the queue and the workers: assigns batches, retries the work of lost workers, and counts. */
export class Pool {
  readonly slots: Slot[] = [];
  #queue = new JobQueue();
  #running = new Set<Promise<void>>();
  #sequence = 0;
  #closed = false;
  #totals = { batches: 0, items: 0, frames: 0, running: 0 };

  constructor(
    /** Frames of a full batch, for a device. */
    private readonly batchFrames: number | ((device: string) => number),
    private readonly onBatch: (batch: BatchReport) => void,
  ) {}

  /** Maximum number of frames in one message: a full batch of the worker with the largest batches. */
  get maxFrames(): number {
    const all = this.slots.map((slot) => this.#mostFrames(slot));
    const able = all.filter((_, at) => this.slots[at]?.state !== 'set_aside');
    return Math.max(1, ...(able.length > 0 ? able : all));
  }

  /** A remote worker states its device only after the load. */
  #mostFrames({ model, device }: Slot): number {
    return typeof this.batchFrames === 'number' ? this.batchFrames : this.batchFrames(model?.device ?? device);
  }

  ticket(): number {
    return this.#sequence++;
  }

  /** Resolves with one answer per prompt. */
  submit(work: Work, options: ItemOptions = {}): Promise<PromptAnswer[]> {
    const { signal, lane = 'bulk', traceparent } = options;
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new QalignError('BRIDGE_CLOSED', 'The engine is closed.'));
      if (signal?.aborted === true) return reject(cancelled());
      const onAbort = (): void => {
        this.#queue.remove(job);
        job.reject(cancelled());
      };
      const settled = (): void => signal?.removeEventListener('abort', onAbort);
      const sequence = this.#sequence++;
      const job: Job = {
        id: String(sequence),
        ticket: options.ticket ?? sequence,
        traceparent,
        onStage: options.onStage,
        since: performance.now(),
        visuals: work.visuals,
        prompts: work.prompts,
        step: work.step,
        frames: framesOfWork(work),
        lane,
        signal,
        resolve: (answers) => (settled(), resolve(answers)),
        reject: (error) => (settled(), reject(error)),
        losses: 0,
        suspect: work.suspect ?? false,
        batchLimit: Infinity,
        group: options.place?.group,
      };
      if (signal !== undefined) setMaxListeners(0, signal); // one signal per run is common and not a leak
      signal?.addEventListener('abort', onAbort, { once: true });
      if (options.place === undefined) this.#push([job]);
      else (options.place.group as BatchGroup<Job>).take(options.place.at, job, (jobs) => this.#pushTogether(jobs));
    });
  }

  /** One ticket keeps the items of a group together and in order. */
  #pushTogether(jobs: readonly Job[]): void {
    const ticket = this.#sequence++;
    const wanted = jobs.filter((job) => job.signal?.aborted !== true);
    if (!this.#closed) this.#push(wanted.map((job) => Object.assign(job, { ticket })));
    else for (const job of wanted) job.reject(new QalignError('BRIDGE_CLOSED', 'The engine is closed.'));
  }

  #push(jobs: readonly Job[]): void {
    for (const job of jobs) this.#queue.push(job);
    this.pump();
  }

  /** Assigns work until no worker has a credit or the queue is empty. */
  pump(): void {
    if (this.slots.length > 0 && this.slots.every((slot) => slot.dead !== undefined)) return this.#failAll();
    for (const job of this.#queue.removeOrphans(this.slots.map((slot) => slot.link)))
      job.reject(new QalignError('CLIP_UNKNOWN', 'The worker that kept the frames of the clip was lost.'));
    const able = this.slots.filter(({ link, exclusive }) => link?.quiet === false && link.credits > 0 && !exclusive);
    const largest = this.maxFrames;
    // the least busy worker first, so that few items are spread over all devices
    for (const slot of able.sort((a, b) => a.inFlight - b.inFlight)) {
      const most = this.#mostFrames(slot);
      const mostOfItem = most < largest ? most : Infinity;
      const batch = this.#queue.take(most, slot.inFlight === 0, slot.link, mostOfItem);
      if (batch.length === 0) continue;
      const running = this.#run(slot, batch).finally(() => {
        this.#running.delete(running);
        this.pump();
      });
      this.#running.add(running);
      return this.pump();
    }
  }

  async #run(slot: Slot, batch: readonly Job[]): Promise<void> {
    const link = slot.link;
    if (link === undefined) return this.#queue.putBack(batch);
    for (const { step } of batch) if (step !== undefined) step.clip.link ??= link;
    const stop = cancelWhenAllAborted(batch);
    const sent = performance.now();
    const frames = framesOf(batch);
    if (slot.inFlight === 0) slot.freeSince = sent;
    slot.inFlight++;
    slot.sentAt.push(sent);
    slot.framesInFlight += frames;
    slot.exclusive = batch[0]?.suspect ?? false;
    this.#totals.running += batch.length;
    try {
      const traceparent = batch.find((job) => job.traceparent !== undefined)?.traceparent;
      const { computeMs, deliver } = await askWorker(link, batch, slot.model?.views.length ?? 1, {
        ...(stop.signal === undefined ? {} : { signal: stop.signal }),
        ...(traceparent === undefined ? {} : { traceparent }),
      });
      const serviceMs = performance.now() - slot.freeSince;
      slot.freeSince = performance.now();
      if (computeMs !== undefined) {
        this.#count(slot, batch, { serviceMs, computeMs, sent });
        tellStages(batch, { device: slot.device, computeMs, sent });
      }
      slot.succeeded(link, this.maxFrames);
      deliver();
    } catch (error) {
      slot.failed(link, error as QalignError);
      this.#retry(batch, error as QalignError);
    } finally {
      stop.release();
      slot.inFlight--;
      slot.sentAt.splice(slot.sentAt.indexOf(sent), 1);
      slot.framesInFlight -= frames;
      slot.exclusive = false;
      this.#totals.running -= batch.length;
    }
  }

  #count(
    slot: Slot,
    batch: readonly Job[],
    { serviceMs, computeMs, sent }: Record<'serviceMs' | 'computeMs' | 'sent', number>,
  ): void {
    const step = batch[0]?.step;
    const kind = step?.kind;
    const frames = framesOf(batch);
    const items = kind === 'encode' || step?.isFurther === true ? 0 : batch.length;
    this.#totals.batches++;
    this.#totals.items += items;
    this.#totals.frames += frames;
    if (kind !== 'score') slot.latency.observe(frames, serviceMs); // the last step of a clip computes no frames
    this.onBatch({
      device: slot.device,
      items,
      frames,
      capacity: this.#mostFrames(slot),
      queuedMs: batch.map((job) => sent - job.since),
      serviceMs,
      computeMs,
    });
  }

  /** Retries a failed batch in smaller parts. An item that fails alone is rejected. */
  #retry(batch: readonly Job[], error: QalignError): void {
    const again: Job[] = [];
    for (const job of batch) {
      if (this.#closed || job.signal?.aborted === true) job.reject(this.#closed ? error : cancelled());
      else if (job.step !== undefined)
        job.reject(error); // clip.ts retries the clip as a whole
      else if (isLoss(error)) {
        job.losses++;
        // a group is sent again as a whole, so that its batch stays the same; then its items are sent alone
        const most = job.group === undefined ? 1 : 2;
        job.suspect = job.losses >= most;
        if (job.losses > most) job.reject(error);
        else again.push(job);
      } else if (batch.length === 1) job.reject(error);
      else {
        if (error.code === 'OUT_OF_MEMORY') job.batchLimit = Math.ceil(batch.length / 2);
        else job.suspect = true;
        again.push(job);
      }
    }
    this.#queue.putBack(again);
  }

  #failAll(): void {
    const reason = this.slots[0]?.dead;
    for (const job of this.#queue.drain())
      job.reject(reason ?? new QalignError('BRIDGE_CLOSED', 'The engine is closed.'));
  }

  stats(): EngineStats {
    const workers = this.slots.map((slot) => ({
      device: slot.device,
      pid: slot.link?.pid,
      state: slot.state,
      ready: slot.state === 'ready',
      oldest_batch_ms: slot.sentAt.length === 0 ? 0 : performance.now() - Math.min(...slot.sentAt),
      restarts: slot.restarts,
      rss_bytes: slot.link?.rssBytes ?? 0,
      device_memory: slot.deviceMemory,
      latency: slot.latency.line,
    }));
    return {
      queued: this.#queue.length,
      queuedFrames: { interactive: this.#queue.frames('interactive'), bulk: this.#queue.frames('bulk') },
      runningFrames: this.slots.reduce((sum, slot) => sum + slot.framesInFlight, 0),
      maxBatchFrames: this.maxFrames,
      batchFrames: this.slots.reduce((sum, slot) => sum + this.#mostFrames(slot), 0),
      ...this.#totals,
      workers,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.drain())
      job.reject(new QalignError('BRIDGE_CLOSED', 'The engine was closed before the item was scored.'));
    await Promise.all(this.slots.map((slot) => slot.close()));
    await Promise.all(this.#running);
  }
}

function tellStages(
  batch: readonly Job[],
  { device, computeMs, sent }: { device: string; computeMs: number; sent: number },
): void {
  const end = performance.now();
  const shape = { computeMs, device, items: batch.length, frames: framesOf(batch) };
  for (const { onStage, since } of batch) {
    onStage?.({ name: 'queue', start: since, end: sent });
    onStage?.({ name: 'batch', start: sent, end, batch: shape });
  }
}

const framesOf = (batch: readonly Job[]): number => batch.reduce((sum, job) => sum + job.frames, 0);

/**
 * Every frame passes the vision encoder once. Frames that are not square count by their pixels, so that a batch bounds
 * memory. The last step of a clip in chunks has no frames.
 */
function framesOfWork({ visuals, step }: Work): number {
  const costs = visuals.map(({ frames, shape }) => frames * (shape === undefined ? 1 : costOf(shape)));
  const frames = costs.reduce((sum, cost) => sum + cost, 0);
  return step === undefined ? Math.max(1, frames) : frames;
}

const cancelled = (): QalignError => new QalignError('CANCELLED', 'Scoring was cancelled.');

export const isLoss = (error: QalignError): boolean =>
  ['WORKER_LOST', 'WORKER_HUNG', 'DEVICE_FAILED', 'PROTOCOL_VIOLATION'].includes(error.code);

/**
 * A batch is shared, so the worker is cancelled only if all its items were aborted. `release` removes the listeners
 * from the signals.
 */
function cancelWhenAllAborted(batch: readonly Job[]): { signal: AbortSignal | undefined; release: () => void } {
  const signals = new Set(batch.map((job) => job.signal));
  const all = new AbortController();
  const onAbort = (): void => {
    if ([...signals].every((signal) => signal?.aborted === true)) all.abort();
  };
  if (signals.has(undefined)) return { signal: undefined, release: () => {} };
  for (const signal of signals) signal?.addEventListener('abort', onAbort);
  return {
    signal: all.signal,
    release: () => {
      for (const signal of signals) signal?.removeEventListener('abort', onAbort);
    },
  };
}

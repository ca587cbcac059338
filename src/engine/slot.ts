import type { Bridge, WorkerLink, WorkerOptions } from '../../bridge/client.js';
import type { LoadedModel, LoadModelParams } from '../../bridge/protocol/models.js';
import { QalignError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { FaultRecord } from './fault-record.js';
import { LatencyModel } from './latency.js';

/** Consecutive starts that failed, or workers that died without finishing anything, before a slot counts as dead. */
const MOST_FAILURES = 4;
/**
 * The same for workers that died under an item that was alone on them: the item is to blame, unless it is every item.
 */
const MOST_STRUCK = 32;
const FIRST_PAUSE_MS = 250;
/**
 * After so long a service tries a dead slot again, for what was wrong with the machine may have been put right. Each
 * failure doubles it.
 */
const REVIVE_MS = 10_000;
const LONGEST_REVIVE_MS = 300_000;
/** Unexpected errors in a row, before the worker is taken to be broken. */
const MOST_INTERNAL = 3;
/** A step may take so many times what the largest batch is expected to take. */
const STEP_BATCHES = 4;

/**
 * `silent`: its worker answers no ping. `set_aside`: it failed again and again and is tried again only after a while.
 */
export type DeviceState = 'ready' | 'starting' | 'silent' | 'set_aside';

export interface SlotOptions {
  readonly bridge: Bridge;
  readonly worker: WorkerOptions;
  readonly load: LoadModelParams;
  readonly log: Logger;
  /** Go on trying when the slot is dead. */
  readonly revive: boolean;
  readonly onProgress: (progress: Record<string, unknown>) => void;
  /** Called whenever the slot may take work, or is dead. */
  readonly onChange: () => void;
}

/** One device and the worker on it, started again when it is lost, until it fails too often in a row. */
export class Slot {
  link: WorkerLink | undefined;
  model: LoadedModel | undefined;
  restarts = 0;
  inFlight = 0;
  /** A suspect is on it: nothing else may be sent until that is answered. */
  exclusive = false;
  /** Why nothing is to be expected of it. */
  dead: QalignError | undefined;
  readonly latency = new LatencyModel();
  /** When each batch was sent that is not answered, in ms of performance.now(). */
  readonly sentAt: number[] = [];
  /** Frames it has been sent and not answered. */
  framesInFlight = 0;
  /** When it last answered or was last idle, in ms of performance.now(): before that it worked on something else. */
  freeSince = 0;
  #failures = 0;
  #struck = 0;
  #internal = 0;
  #faults = new FaultRecord();
  /** Its worker has answered a batch. */
  #answered = false;
  #aside = false;
  #closed = new AbortController();

  constructor(private readonly options: SlotOptions) {}

  get device(): string {
    return this.options.load.device;
  }

  get state(): DeviceState {
    if (this.#aside || this.dead !== undefined) return 'set_aside';
    if (this.link === undefined) return 'starting';
    return this.link.quiet ? 'silent' : 'ready';
  }

  /** Starts the worker and loads the model. @throws QalignError when the first start fails */
  async start(): Promise<LoadedModel> {
    const link = await this.options.bridge.startWorker(this.options.worker);
    try {
      const { model } = await link.request(
        'load_model',
        { ...this.options.load, device: link.device },
        {
          onProgress: this.options.onProgress,
          abandon: true,
          ...(this.options.worker.signal === undefined ? {} : { signal: this.options.worker.signal }),
        },
      );
      if (this.model !== undefined && this.model.weights_sha256 !== model.weights_sha256) {
        throw new QalignError(
          'MODEL_INVALID',
          `The weights of ${model.id} changed on disk while it was in use; start again.`,
        );
      }
      this.model = model;
    } catch (error) {
      await link.close();
      throw error;
    }
    link.loaded();
    this.#internal = 0;
    this.#answered = false;
    this.link = link;
    link.onCredit = this.options.onChange;
    void link.lost.then((reason) => this.#onLost(link, reason));
    return this.model;
  }

  /** An answered request shows that the worker is sound. `mostFrames`: of the largest batch. */
  succeeded(link: WorkerLink, mostFrames: number): void {
    this.#failures = 0;
    this.#struck = 0;
    this.#internal = 0;
    this.#answered = true;
    link.answering(STEP_BATCHES * (this.latency.predict(mostFrames) ?? 0));
  }

  /** A request that failed. Unexpected errors in a row say that the worker is broken, not the items. */
  failed(link: WorkerLink, { code }: QalignError): void {
    if (code !== 'WORKER_INTERNAL') return;
    this.#internal++;
    if (this.#internal < MOST_INTERNAL || this.link !== link) return;
    link.discard(
      new QalignError(
        'WORKER_LOST',
        `The worker on ${this.device} failed with ${this.#internal} unexpected errors in a row and was ended.`,
      ),
    );
  }

  /** For a slot whose first start failed: it restarts like a lost worker. `model` is what other slots have loaded. */
  startLater(reason: QalignError, model: LoadedModel): void {
    this.model = model;
    this.options.log.warn(reason.message, { device: this.device });
    this.#failures++;
    void this.#restart(reason, 0);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.link?.close();
  }

  #onLost(link: WorkerLink, reason: QalignError): void {
    if (this.link === link) this.link = undefined;
    if (this.#closed.signal.aborted) return;
    this.options.log.warn(`${reason.message} Starting another.`, { device: this.device });
    const blameless = this.exclusive && ++this.#struck < MOST_STRUCK;
    if (!blameless) this.#failures++;
    const asideMs = !blameless && this.#isFault(reason) ? this.#faults.note(performance.now()) : 0;
    this.options.onChange(); // what waits for this very worker waits in vain
    void this.#restart(reason, asideMs);
  }

  /** Whether the device is to blame. A process that was killed says nothing about it, nor do items that always fail. */
  #isFault({ code }: QalignError): boolean {
    if (code === 'DEVICE_FAILED' || code === 'WORKER_HUNG') return true;
    return this.#internal >= MOST_INTERNAL && !this.#answered;
  }

  async #restart(reason: QalignError, asideMs: number): Promise<void> {
    if (asideMs > 0) await this.#setAside(reason, asideMs);
    for (let cause: QalignError = reason; !this.#closed.signal.aborted; this.#failures++) {
      if (this.#failures >= MOST_FAILURES || this.#struck >= MOST_STRUCK) {
        this.dead = new QalignError(
          'WORKER_START_FAILED',
          `The worker on ${this.device} failed ${Math.max(this.#failures, this.#struck)} times in a row, last so: ${cause.message}`,
        );
        this.options.onChange();
        if (!this.options.revive) return;
      }
      await pause(this.#pauseMs(), this.#closed.signal);
      if (this.#closed.signal.aborted) return;
      try {
        this.restarts++;
        await this.start();
        this.dead = undefined;
        return this.options.onChange();
      } catch (error) {
        cause = error as QalignError;
      }
    }
  }

  /** The other devices go on meanwhile. */
  async #setAside(reason: QalignError, ms: number): Promise<void> {
    this.#aside = true;
    this.options.log.error(
      `The device ${this.device} fails again and again, last so: ${reason.message} It is set aside for ${Math.round(ms / 1000)} s.`,
      { device: this.device },
    );
    this.options.onChange();
    await pause(ms, this.#closed.signal);
    this.#aside = false;
  }

  #pauseMs(): number {
    if (this.dead === undefined) return FIRST_PAUSE_MS * 2 ** Math.max(0, this.#failures - 1);
    return Math.min(LONGEST_REVIVE_MS, REVIVE_MS * 2 ** Math.max(0, this.#failures - MOST_FAILURES));
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

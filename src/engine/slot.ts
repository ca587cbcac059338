import type { Bridge, WorkerLink, WorkerOptions } from '../../bridge/client.js';
import type { DeviceMemory } from '../../bridge/protocol/memory.js';
import type { LoadedModel, LoadModelParams } from '../../bridge/protocol/models.js';
import { QalignError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { FaultRecord } from './fault-record.js';
import { LatencyModel } from './latency.js';

/**
 * Consecutive failures after which a slot is dead. A failure is a failed start or a worker that died without an answer.
 */
const MOST_FAILURES = 4;
/**
 * The same for workers that died while computing a suspect item. The item is the probable cause, unless every item
 * fails.
 */
const MOST_STRUCK = 32;
const FIRST_PAUSE_MS = 250;
/**
 * A service retries a dead slot after this time, because the problem can be fixed by then. Each
 * failure doubles the time.
 */
const REVIVE_MS = 10_000;
const LONGEST_REVIVE_MS = 300_000;
/** Consecutive unexpected errors after which the worker counts as broken. */
const MOST_INTERNAL = 3;
/** The time limit of a step is this multiple of the predicted time of the largest batch. */
const STEP_BATCHES = 4;

/** `silent`: the worker answers no pings. `set_aside`: the device failed repeatedly and is retried after a pause. */
export type DeviceState = 'ready' | 'starting' | 'silent' | 'set_aside';

export interface SlotOptions {
  readonly bridge: Bridge;
  readonly worker: WorkerOptions;
  readonly load: LoadModelParams;
  readonly log: Logger;
  /** Keep retrying a dead slot. */
  readonly revive: boolean;
  readonly onProgress: (progress: Record<string, unknown>) => void;
  /** Called when the slot can take work, or is dead. */
  readonly onChange: () => void;
}

/** One device and its worker. A lost worker is restarted until it fails too many times in a row. */
export class Slot {
  link: WorkerLink | undefined;
  model: LoadedModel | undefined;
  restarts = 0;
  inFlight = 0;
  /** The worker has a suspect item and must get no other work until it is answered. */
  exclusive = false;
  /** Why the slot is dead. Undefined while it can still start. */
  dead: QalignError | undefined;
  readonly latency = new LatencyModel();
  /** Send times of the unanswered batches, in ms of performance.now(). */
  readonly sentAt: number[] = [];
  /** Frames of the unanswered batches. */
  framesInFlight = 0;
  /** Time of the last answer or the last idle moment, in ms of performance.now(). Before it, the worker was busy. */
  freeSince = 0;
  #failures = 0;
  #struck = 0;
  #internal = 0;
  #faults = new FaultRecord();
  /** True after the worker has answered a batch. */
  #answered = false;
  #aside = false;
  #loadedMemory: DeviceMemory | undefined;
  #closed = new AbortController();

  constructor(private readonly options: SlotOptions) {}

  get device(): string {
    return this.options.load.device;
  }

  /** Memory of a GPU at the end of the last request, or of the load. */
  get deviceMemory(): DeviceMemory | undefined {
    return this.link && (this.link.deviceMemory ?? this.#loadedMemory);
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
      const { model, device_memory: memory } = await link.request(
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
          `The weights of ${model.id} changed on disk while the model was in use; restart qalign.`,
        );
      }
      this.model = model;
      this.#loadedMemory = memory;
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

  /** Records an answered request, which shows that the worker works. @param mostFrames frames of the largest batch */
  succeeded(link: WorkerLink, mostFrames: number): void {
    this.#failures = 0;
    this.#struck = 0;
    this.#internal = 0;
    this.#answered = true;
    link.answering(STEP_BATCHES * (this.latency.predict(mostFrames) ?? 0));
  }

  /** Records a failed request. Consecutive unexpected errors mean that the worker is broken, not the items. */
  failed(link: WorkerLink, { code }: QalignError): void {
    if (code !== 'WORKER_INTERNAL') return;
    this.#internal++;
    if (this.#internal < MOST_INTERNAL || this.link !== link) return;
    link.discard(
      new QalignError(
        'WORKER_LOST',
        `The worker on ${this.device} failed with ${this.#internal} unexpected errors in a row and was stopped.`,
      ),
    );
  }

  /**
   * Restarts a slot whose first start failed, like a lost worker. `model` is the model that other slots have loaded.
   */
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
    this.options.log.warn(`${reason.message} Starting another worker.`, { device: this.device });
    const blameless = this.exclusive && ++this.#struck < MOST_STRUCK;
    if (!blameless) this.#failures++;
    const asideMs = !blameless && this.#isFault(reason) ? this.#faults.note(performance.now()) : 0;
    this.options.onChange(); // rejects jobs that are bound to the lost worker
    void this.#restart(reason, asideMs);
  }

  /** Returns true if the device caused the loss. Killed processes and items that always fail do not count. */
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
          `The worker on ${this.device} failed ${Math.max(this.#failures, this.#struck)} times in a row. Last error: ${cause.message}`,
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

  /** Pauses this device. The other devices continue. */
  async #setAside(reason: QalignError, ms: number): Promise<void> {
    this.#aside = true;
    this.options.log.error(
      `The device ${this.device} failed repeatedly and is set aside for ${Math.round(ms / 1000)} s. Last error: ${reason.message}`,
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

import type { Bridge, WorkerLink, WorkerOptions } from '../../bridge/client.js';
import type { LoadedModel, LoadModelParams } from '../../bridge/protocol/models.js';
import { QalignError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { LatencyModel } from './latency.js';

/** Consecutive starts that failed, or workers that died without finishing anything, before a slot counts as dead. */
const MOST_FAILURES = 4;
/**
 * The same for workers that died under an item that was alone on them: the item is to blame, unless it is every item.
 */
const MOST_STRUCK = 32;
const FIRST_PAUSE_MS = 250;
/** A service tries a dead slot again that often: what was wrong with the machine may have been put right. */
const REVIVE_MS = 10_000;

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
  /** Frames it has been sent and not answered. */
  framesInFlight = 0;
  /** When it last answered or was last idle, in ms of performance.now(): before that it worked on something else. */
  freeSince = 0;
  #failures = 0;
  #struck = 0;
  #closed = new AbortController();

  constructor(private readonly options: SlotOptions) {}

  get device(): string {
    return this.options.load.device;
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
    this.link = link;
    link.onCredit = this.options.onChange;
    void link.lost.then((reason) => this.#onLost(link, reason));
    return this.model;
  }

  /** An answered request shows that the worker is sound. */
  succeeded(): void {
    this.#failures = 0;
    this.#struck = 0;
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
    this.options.onChange(); // what waits for this very worker waits in vain
    void this.#restart(reason);
  }

  async #restart(reason: QalignError): Promise<void> {
    for (let cause: QalignError = reason; !this.#closed.signal.aborted; this.#failures++) {
      if (this.#failures >= MOST_FAILURES || this.#struck >= MOST_STRUCK) {
        this.dead = new QalignError(
          'WORKER_START_FAILED',
          `The worker on ${this.device} failed ${Math.max(this.#failures, this.#struck)} times in a row, last so: ${cause.message}`,
        );
        this.options.onChange();
        if (!this.options.revive) return;
      }
      await pause(
        this.dead === undefined ? FIRST_PAUSE_MS * 2 ** Math.max(0, this.#failures - 1) : REVIVE_MS,
        this.#closed.signal,
      );
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
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}

import { METHODS, type Method, type Params, type ResultOf } from './protocol/index.js';
import { PROTOCOL_VERSION, type Control } from './protocol/envelope.js';
import type { DeviceMemory } from './protocol/memory.js';
import { DEFAULT_BRIDGE_LIMITS, type BridgeLimits } from './limits.js';
import { QalignError } from './qalign-error.js';
import { Silence } from './silence.js';
import type { Transport } from './transport.js';
import { envelopeName, problemWithMessage, requireMessage } from './validate.js';
import type { PythonStart, WorkerProcess, WorkerStart } from './worker-process.js';

export type WireLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

export interface WorkerOptions {
  readonly python: PythonStart;
  /** `cpu`, `cuda:0`, …; or `remote`: the next worker that connects from another host, with any device. */
  readonly device: string;
  readonly module?: string;
  /** Starts the process. Default: one `python -m module` that ends with this process. */
  readonly start?: (start: WorkerStart) => WorkerProcess;
  /** Methods that the worker must support. Default: all methods that scoring needs. */
  readonly methods?: readonly Method[];
  readonly log?: WireLog;
  readonly limits?: Partial<BridgeLimits>;
  readonly signal?: AbortSignal;
}

export interface RequestOptions {
  readonly buffers?: readonly Uint8Array[];
  readonly signal?: AbortSignal;
  /**
   * On abort, reject at once and do not wait for the worker, which can be in the middle of a 10 GB file. For callers
   * that then close the worker.
   */
  readonly abandon?: boolean;
  readonly onProgress?: (progress: Record<string, unknown>) => void;
  readonly traceparent?: string;
}

/** A worker that has sent `ready`. */
export interface WorkerLink {
  readonly pid: number | undefined;
  /** The device name on the host of the worker, for example `cuda:0`. */
  readonly device: string;
  /** Number of requests that can be sent now. */
  readonly credits: number;
  readonly rssBytes: number;
  /** Of a GPU, at the end of the last request. */
  readonly deviceMemory: DeviceMemory | undefined;
  /** The worker has not answered for `quietMs` and should get no work. */
  readonly quiet: boolean;
  /**
   * Resolves with the reason when the worker is lost for any reason. Its open requests are then rejected with the same
   * reason.
   */
  readonly lost: Promise<QalignError>;
  /** Called when `credits` increases, and when a quiet worker answers again. */
  onCredit: () => void;
  /** The model is loaded. From now on, `loadedSilenceMs` is the limit of silence. */
  loaded(): void;
  /**
   * The worker has answered a batch. From now on, `answeringStepMs` is the limit of a step, at least `leastMs` and at
   * most `stepMs`. `leastMs` is derived from the known time of its batches.
   */
  answering(leastMs: number): void;
  /** @throws QalignError of the worker, WORKER_LOST, WORKER_HUNG, PROTOCOL_VIOLATION, CANCELLED, BRIDGE_CLOSED */
  request<M extends Method>(method: M, params: Params<M>, options?: RequestOptions): Promise<ResultOf<M>>;
  /** Kills the worker at once. `lost` and its open requests get the reason. */
  discard(reason: QalignError): void;
  /** Lets the worker finish its requests and then stops it. Kills it after `drainMs`. */
  close(): Promise<void>;
}

const SCORING = (Object.keys(METHODS) as Method[]).filter((method) => method !== 'train');

interface Open {
  readonly method: Method;
  readonly onProgress: ((progress: Record<string, unknown>) => void) | undefined;
  readonly resolve: (result: never) => void;
  readonly reject: (error: QalignError) => void;
}

/** Node's side of the connection to one worker. */
export class Link implements WorkerLink {
  credits = 0;
  rssBytes = 0;
  deviceMemory: DeviceMemory | undefined;
  onCredit: () => void = () => {};
  readonly lost: Promise<QalignError>;
  #open = new Map<string, Open>();
  /** The `hello` of the worker was answered. */
  greeted = false;
  #sequence = 0;
  #lose!: (reason: QalignError) => void;
  #reason: QalignError | undefined;
  #ready!: () => void;
  #becameReady: Promise<void>;
  quiet = false;
  readonly #silence: Silence;
  #pinger: NodeJS.Timeout;
  #limits: BridgeLimits;
  readonly #log: WireLog;

  constructor(
    private readonly transport: Transport,
    private readonly identity: string,
    private readonly token: string,
    private readonly options: WorkerOptions,
    private readonly process: WorkerProcess,
  ) {
    this.#limits = { ...DEFAULT_BRIDGE_LIMITS, ...options.limits };
    this.#log = options.log ?? (() => {});
    this.lost = new Promise((resolve) => (this.#lose = resolve));
    this.#becameReady = new Promise((resolve) => (this.#ready = resolve));
    void this.process.exited.then((how) =>
      this.#end(new QalignError('WORKER_LOST', `The worker on ${options.device} is gone: ${how}.`)),
    );
    this.#silence = new Silence(this.#limits.pingMs, performance.now());
    this.#pinger = setInterval(() => (this.greeted ? this.#ping() : this.#keepReachable()), this.#limits.pingMs);
    this.#pinger.unref();
  }

  get device(): string {
    return this.options.device;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  async ready(signal: AbortSignal | undefined): Promise<void> {
    const limit = this.#limits.startMs;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<QalignError>((resolve) => {
      timer = setTimeout(
        () => resolve(startFailed(this.options.device, `it was not ready within ${limit / 1000} s`)),
        limit,
      );
    });
    let stop = (): void => {};
    const aborted = new Promise<QalignError>((resolve) => {
      stop = () => resolve(new QalignError('CANCELLED', 'The start of the worker was cancelled.'));
      if (signal?.aborted) stop();
      signal?.addEventListener('abort', stop, { once: true });
    });
    const failure = await Promise.race([this.#becameReady, this.lost, late, aborted]);
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop); // a service starts many workers with one signal
    if (failure === undefined) return;
    this.#end(failure);
    const kept = ['PROTOCOL_MISMATCH', 'CANCELLED', 'WORKER_START_FAILED'].includes(failure.code);
    throw kept ? failure : startFailed(this.options.device, failure.message);
  }

  request<M extends Method>(method: M, params: Params<M>, options: RequestOptions = {}): Promise<ResultOf<M>> {
    const { signal, abandon = false, buffers = [], onProgress, traceparent } = options;
    requireMessage(`${method}_params`, params, 'INVALID_REQUEST');
    const id = `${this.identity}.${this.#sequence++}`;
    return new Promise<ResultOf<M>>((resolve, reject) => {
      if (this.#reason !== undefined) return reject(this.#reason);
      if (signal?.aborted === true)
        return reject(new QalignError('CANCELLED', 'The request was cancelled before it was sent.'));
      const cancel = (): void => {
        void this.#send({ type: 'cancel', id }).catch(() => {});
        if (abandon) this.#open.get(id)?.reject(new QalignError('CANCELLED', 'The request was cancelled.'));
      };
      signal?.addEventListener('abort', cancel, { once: true });
      const settle = (): void => {
        this.#open.delete(id);
        signal?.removeEventListener('abort', cancel);
      };
      this.#open.set(id, {
        method,
        onProgress,
        resolve: (result) => (settle(), resolve(result)),
        reject: (error) => (settle(), reject(error)),
      });
      this.credits--;
      const envelope = { id, method, params, ...(traceparent === undefined ? {} : { traceparent }) };
      this.#send(envelope, buffers).catch((error: QalignError) => this.#end(error));
    });
  }

  loaded(): void {
    this.#limits = { ...this.#limits, silenceMs: this.#limits.loadedSilenceMs ?? this.#limits.silenceMs };
  }

  answering(leastMs: number): void {
    const { answeringStepMs, stepMs } = { ...DEFAULT_BRIDGE_LIMITS, ...this.options.limits };
    this.#limits = { ...this.#limits, stepMs: Math.min(stepMs, Math.max(answeringStepMs ?? stepMs, leastMs)) };
  }

  discard(reason: QalignError): void {
    this.#end(reason);
  }

  async close(): Promise<void> {
    if (this.process.isDisposable === true && this.#open.size === 0) this.process.kill();
    else if (this.#reason === undefined) {
      void this.#send({ type: 'drain' }).catch(() => {});
      const timer = setTimeout(() => this.process.kill(), this.#limits.drainMs);
      await this.process.exited;
      clearTimeout(timer);
    }
    this.#end(new QalignError('BRIDGE_CLOSED', 'The bridge was closed before the request was answered.'));
    await this.process.exited;
  }

  #send(envelope: object, buffers: readonly Uint8Array[] = []): Promise<void> {
    this.#log('debug', 'to the worker', { worker: this.identity, ...outline(envelope, buffers) });
    return this.transport.send(this.identity, envelope, buffers);
  }

  breakOff(): void {
    this.#end(
      new QalignError('WORKER_LOST', `The worker on ${this.options.device} lost its connection and reconnected.`),
    );
  }

  receive(message: unknown): void {
    this.#heard();
    const name = envelopeName(message);
    if (name !== 'log') this.#log('debug', 'from the worker', { worker: this.identity, ...outline(message) });
    const problem = name === undefined ? 'the message is not an envelope' : problemWithMessage(name, message);
    if (problem !== undefined) return this.#violation(problem);
    const envelope = message as Control & {
      id: string;
      result: object;
      progress: Record<string, unknown>;
      error: { code: 'WORKER_INTERNAL'; message: string };
    };
    if (name === 'result') return this.#result(envelope.id, envelope.result);
    if (name === 'failure')
      return this.#open.get(envelope.id)?.reject(new QalignError(envelope.error.code, envelope.error.message));
    if (name === 'progress') return this.#open.get(envelope.id)?.onProgress?.(envelope.progress);
    this.#control(envelope);
  }

  #result(id: string, result: object): void {
    const open = this.#open.get(id);
    if (open === undefined) return this.#violation(`it sent a result for ${id}, which is not an open request`);
    const problem = problemWithMessage(`${open.method}_result`, result);
    if (problem !== undefined)
      return this.#violation(`the result of ${open.method} does not match its schema at ${problem}`);
    open.resolve(result as never);
  }

  #control(message: Control): void {
    switch (message.type) {
      case 'hello': {
        if (message.token !== this.token) return this.#violation('its hello has a wrong token');
        if (message.protocol !== PROTOCOL_VERSION) {
          const sentence = `Node uses protocol ${PROTOCOL_VERSION}, and the worker (qalign ${message.version}) uses protocol ${message.protocol}; install the same version of qalign on both sides.`;
          return this.#end(new QalignError('PROTOCOL_MISMATCH', sentence));
        }
        const lacking = (this.options.methods ?? SCORING).filter((method) => !message.capabilities.includes(method));
        if (lacking.length > 0) this.#log('warn', 'the worker lacks methods', { lacking: lacking.join(' ') });
        this.greeted = true;
        void this.#send({ type: 'welcome', protocol: PROTOCOL_VERSION }).catch(() => {});
        return;
      }
      case 'ready':
      case 'credit':
        this.credits += message.credits;
        if (message.type === 'ready') this.#ready();
        return this.onCredit();
      case 'pong':
        this.rssBytes = message.rss_bytes;
        this.deviceMemory = message.device_memory;
        if (message.step_age_ms !== null && message.step_age_ms > this.#limits.stepMs) this.#hung(message.step_age_ms);
        return;
      case 'log':
        return this.#log(message.level, message.message, { ...message.fields, worker: this.identity });
      case 'bye':
        if (message.error !== undefined) this.#end(new QalignError(message.error.code, this.#said(message.error)));
        return this.process.saidBye();
      default:
        return this.#violation(`a worker must not send ${message.type}`);
    }
  }

  /** Pings idle workers too. Otherwise only the next request would find a frozen worker. */
  #ping(): void {
    if (this.#reason !== undefined) return;
    const silent = this.#silence.tick(performance.now());
    if (silent > this.#limits.silenceMs) return this.#frozen(silent);
    if (silent > this.#limits.quietMs && !this.quiet) {
      this.quiet = true;
      this.#log('warn', `The worker on ${this.options.device} does not answer.`, { worker: this.identity });
    }
    if (!this.#silence.mayAsk()) return;
    this.#send({ type: 'ping', seq: this.#sequence }).catch((error: QalignError) => {
      // for a local process, the exit gives a better reason
      if (this.process.pid === undefined) this.#end(error);
    });
  }

  #heard(): void {
    this.#silence.broken();
    if (!this.quiet) return;
    this.quiet = false;
    this.#log('info', `The worker on ${this.options.device} answers again.`, { worker: this.identity });
    this.onCredit();
  }

  /** Other programs can delete files of the temporary folder while Python starts. */
  #keepReachable(): void {
    this.transport.mend().catch((error: QalignError) => this.#end(error));
  }

  #said({ code, message }: { code: string; message: string }): string {
    return code === 'DEVICE_FAILED' ? `The device ${this.options.device} failed: ${message}` : message;
  }

  #frozen(ms: number): void {
    this.#end(
      new QalignError(
        'WORKER_HUNG',
        `The worker on ${this.options.device} did not answer for ${Math.round(ms / 1000)} s and was killed.`,
      ),
    );
  }

  #hung(ms: number): void {
    this.#end(
      new QalignError(
        'WORKER_HUNG',
        `The worker on ${this.options.device} made no progress for ${Math.round(ms / 1000)} s and was killed.`,
      ),
    );
  }

  #violation(problem: string): void {
    this.#end(
      new QalignError('PROTOCOL_VIOLATION', `The worker on ${this.options.device} violated the protocol: ${problem}.`),
    );
  }

  /** Ends the worker. Only the first reason counts. */
  #end(reason: QalignError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    clearInterval(this.#pinger);
    this.process.kill();
    this.credits = 0;
    this.#lose(reason); // resolved first, so that the slot has already removed the worker when requests are rejected
    for (const open of [...this.#open.values()]) open.reject(reason);
  }
}

/** Fields of a message that are logged, without its token and parameters. */
function outline(envelope: unknown, buffers: readonly Uint8Array[] = []): Record<string, unknown> {
  const { id, method } = Object(envelope) as { id?: unknown; method?: unknown };
  return {
    name: envelopeName(envelope) ?? 'no envelope',
    ...(id === undefined ? {} : { id }),
    ...(method === undefined ? {} : { method }),
    ...(buffers.length === 0 ? {} : { bytes: buffers.reduce((sum, { byteLength }) => sum + byteLength, 0) }),
  };
}

function startFailed(device: string, why: string): QalignError {
  return new QalignError(
    'WORKER_START_FAILED',
    `The worker on ${device} did not start: ${why.replace(/^The worker on \S+ is gone: /, '').replace(/\.$/, '')}; "qalign doctor" shows what is missing.`,
  );
}

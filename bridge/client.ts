/** The boundary of bridge: messages to workers and their processes; nothing of src, of models or of scores. */
import { randomBytes } from 'node:crypto';
import { METHODS, type Method, type Params, type ResultOf } from './protocol/index.js';
import { PROTOCOL_VERSION, type Control } from './protocol/envelope.js';
import { QalignError } from './qalign-error.js';
import { bindTransport, type Listen, type Transport } from './transport.js';
import { envelopeName, problemWithMessage, requireMessage } from './validate.js';
import { createWaitingWorkers, REMOTE_TOKEN } from './waiting-workers.js';
import {
  distantProcess,
  startWorkerProcess,
  type PythonStart,
  type WorkerProcess,
  type WorkerStart,
} from './worker-process.js';

export interface BridgeLimits {
  /**
   * From the start of the process to its ready: importing torch took over 120 s on a machine with ten processes a core.
   */
  readonly startMs: number;
  /** Without a step of the computation for so long, a worker counts as hung and is killed. */
  readonly stepMs: number;
  readonly pingMs: number;
  /** How long a drained worker may take to say bye. */
  readonly drainMs: number;
}
const DEFAULT_BRIDGE_LIMITS: BridgeLimits = { startMs: 300_000, stepMs: 300_000, pingMs: 1_000, drainMs: 5_000 };

export type WireLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

export interface WorkerOptions {
  readonly python: PythonStart;
  /** `cpu`, `cuda:0`, …; or `remote`: the next worker that connects from elsewhere, whatever its device. */
  readonly device: string;
  readonly module?: string;
  /** How the process is started; by default one `python -m module` that ends with this process. */
  readonly start?: (start: WorkerStart) => WorkerProcess;
  /** What it must be able to do; by default everything that scoring takes. */
  readonly methods?: readonly Method[];
  readonly log?: WireLog;
  readonly limits?: Partial<BridgeLimits>;
  readonly signal?: AbortSignal;
}

export interface RequestOptions {
  readonly buffers?: readonly Uint8Array[];
  readonly signal?: AbortSignal;
  /**
   * On cancel wait no longer for the worker, which may be in the middle of a file of 10 GB: for callers that then close
   * it.
   */
  readonly abandon?: boolean;
  readonly onProgress?: (progress: Record<string, unknown>) => void;
  readonly traceparent?: string;
}

/** One worker that said ready. */
export interface WorkerLink {
  readonly pid: number | undefined;
  /** As the worker itself calls it: `cuda:0` of its host. */
  readonly device: string;
  /** How many requests may be sent now. */
  readonly credits: number;
  readonly rssBytes: number;
  /**
   * Resolves with the reason when the worker is gone, whatever the way; its open requests are rejected with it, right
   * after.
   */
  readonly lost: Promise<QalignError>;
  /** Called whenever `credits` grew. */
  onCredit: () => void;
  /** @throws QalignError of the worker, WORKER_LOST, WORKER_HUNG, PROTOCOL_VIOLATION, CANCELLED, BRIDGE_CLOSED */
  request<M extends Method>(method: M, params: Params<M>, options?: RequestOptions): Promise<ResultOf<M>>;
  /** Lets it finish what it has, then ends it; kills it when it takes too long. */
  close(): Promise<void>;
}

export interface Bridge {
  readonly endpoint: string;
  startWorker(options: WorkerOptions): Promise<WorkerLink>;
  /** Ends all workers and removes the socket. */
  close(): Promise<void>;
}

const SCORING = (Object.keys(METHODS) as Method[]).filter((method) => method !== 'train');

/** Binds the socket that workers connect to: those it starts itself, or with `listen` those of other hosts. */
export async function openBridge(listen?: Listen): Promise<Bridge> {
  const links = new Map<string, Link>();
  const waiting = createWaitingWorkers();
  const transport = await bindTransport((peer, envelope) => {
    const anew = waiting.isHello(envelope) && links.get(peer)?.greeted === true;
    // the same worker after a break of the line: what it had before is lost
    if (anew) links.get(peer)?.breakOff();
    const link = links.get(peer);
    if (link !== undefined) link.receive(envelope);
    else if (listen !== undefined) waiting.add(peer, envelope);
  }, listen);
  let started = 0;
  const enlist = (identity: string, link: Link): Link => {
    links.set(identity, link);
    void link.lost.then(() => links.get(identity) === link && links.delete(identity));
    return link;
  };
  return {
    endpoint: transport.endpoint,
    async startWorker(options) {
      if (listen === undefined) {
        const [identity, token] = [
          `worker-${started++}-${randomBytes(6).toString('hex')}`,
          randomBytes(16).toString('hex'),
        ];
        const link = enlist(
          identity,
          new Link(transport, identity, token, options, startProcess(transport.endpoint, identity, token, options)),
        );
        await link.ready(options.signal);
        return link;
      }
      const { peer, hello } = await waiting.next(
        { ...DEFAULT_BRIDGE_LIMITS, ...options.limits }.startMs,
        options.signal,
      );
      const link = enlist(
        peer,
        new Link(transport, peer, REMOTE_TOKEN, { ...options, device: hello.device }, distantProcess()),
      );
      link.receive(hello);
      await link.ready(options.signal);
      return link;
    },
    async close() {
      waiting.close();
      await Promise.all([...links.values()].map((link) => link.close()));
      transport.close();
    },
  };
}

function startProcess(
  endpoint: string,
  identity: string,
  token: string,
  { python, device, module = 'qalign.worker', start = startWorkerProcess, log }: WorkerOptions,
): WorkerProcess {
  return start({
    python,
    endpoint,
    identity,
    token,
    device,
    module,
    onStderr: (line) => log?.('debug', line, { worker: identity }),
  });
}

interface Open {
  readonly method: Method;
  readonly onProgress: ((progress: Record<string, unknown>) => void) | undefined;
  readonly resolve: (result: never) => void;
  readonly reject: (error: QalignError) => void;
}

class Link implements WorkerLink {
  credits = 0;
  rssBytes = 0;
  onCredit: () => void = () => {};
  readonly lost: Promise<QalignError>;
  #open = new Map<string, Open>();
  /** Its hello was answered. */
  greeted = false;
  #sequence = 0;
  #lose!: (reason: QalignError) => void;
  #reason: QalignError | undefined;
  #ready!: () => void;
  #becameReady: Promise<void>;
  #lastPong = performance.now();
  #pinger: NodeJS.Timeout;
  readonly #limits: BridgeLimits;
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
    this.#pinger = setInterval(() => this.#ping(), this.#limits.pingMs);
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
    const aborted = new Promise<QalignError>((resolve) => {
      const stop = (): void => resolve(new QalignError('CANCELLED', 'The start of the worker was cancelled.'));
      if (signal?.aborted) stop();
      signal?.addEventListener('abort', stop, { once: true });
    });
    const failure = await Promise.race([this.#becameReady, this.lost, late, aborted]);
    clearTimeout(timer);
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

  async close(): Promise<void> {
    if (this.#reason === undefined) {
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
      new QalignError('WORKER_LOST', `The worker on ${this.options.device} lost its connection and came again.`),
    );
  }

  receive(message: unknown): void {
    const name = envelopeName(message);
    if (name !== 'log') this.#log('debug', 'from the worker', { worker: this.identity, ...outline(message) });
    const problem = name === undefined ? 'it is not an envelope' : problemWithMessage(name, message);
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
    if (open === undefined) return this.#violation(`result for ${id}, which is not open`);
    const problem = problemWithMessage(`${open.method}_result`, result);
    if (problem !== undefined) return this.#violation(`result of ${open.method} at ${problem}`);
    open.resolve(result as never);
  }

  #control(message: Control): void {
    switch (message.type) {
      case 'hello': {
        if (message.token !== this.token) return this.#violation('hello with a wrong token');
        if (message.protocol !== PROTOCOL_VERSION) {
          const sentence = `Node speaks protocol ${PROTOCOL_VERSION}, the worker (qalign ${message.version}) protocol ${message.protocol}; install both from one version.`;
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
        this.#lastPong = performance.now();
        this.rssBytes = message.rss_bytes;
        if (message.step_age_ms !== null && message.step_age_ms > this.#limits.stepMs) this.#hung(message.step_age_ms);
        return;
      case 'log':
        return this.#log(message.level, message.message, { ...message.fields, worker: this.identity });
      case 'bye':
        return this.process.saidBye();
      default:
        return this.#violation(`a worker does not say ${message.type}`);
    }
  }

  #ping(): void {
    if (this.#reason !== undefined || this.#open.size === 0) {
      this.#lastPong = performance.now();
      return;
    }
    const silent = performance.now() - this.#lastPong;
    if (silent > this.#limits.stepMs) return this.#hung(silent);
    this.#send({ type: 'ping', seq: this.#sequence }).catch((error: QalignError) => this.#end(error));
  }

  #hung(ms: number): void {
    this.#end(
      new QalignError(
        'WORKER_HUNG',
        `The worker on ${this.options.device} made no step for ${Math.round(ms / 1000)} s and was killed.`,
      ),
    );
  }

  #violation(problem: string): void {
    this.#end(
      new QalignError('PROTOCOL_VIOLATION', `The worker on ${this.options.device} broke the contract: ${problem}.`),
    );
  }

  /** The first reason counts; the process is gone after this. */
  #end(reason: QalignError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    clearInterval(this.#pinger);
    this.process.kill();
    this.credits = 0;
    this.#lose(reason); // first: who waits for an answer finds the slot already without its worker
    for (const open of [...this.#open.values()]) open.reject(reason);
  }
}

/** What a log line shows of a message: neither its token nor its parameters. */
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

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { WHOLE } from '../../bridge/protocol/views.js';
import { QalignError } from '../base/errors.js';
import { LaneTurns, type Lane } from '../base/lane.js';
import { formatGigabytes } from '../base/units.js';
import type { PrepareCopies } from './distort/copies.js';
import { createDecodeBudget, type DecodeBudget } from './budget/decode-budget.js';
import type { PreparedImage, PrepareImageOptions } from './image.js';
import type { MediaLimits } from './limits.js';
import type { MediaInput } from './media-input.js';
import type { RawPicture } from './resample/resample.js';
import type { PrepareAnswer, Prepared, PrepareRequest } from './prepare-worker.js';
import type { PreparedWindows, PrepareWindowsOptions } from './windows/prepare-windows.js';

/** Current load of the pool and the time per picture. */
export interface PrepareLoad {
  readonly threads: number;
  /** Jobs that run on a thread. */
  readonly running: number;
  readonly waiting: Readonly<Record<Lane, number>>;
  /** Milliseconds for one picture on one thread, a moving average. Undefined before the first picture. */
  readonly pictureMs: number | undefined;
}

/** Prepares pictures and frames on worker threads. Decoding uses all cores and never blocks the main thread. */
export interface PreparePool {
  /** Number of threads. */
  readonly threads: number;
  /**
   * Works as `prepareImage`. Input bytes are copied to the thread. The lane is bulk by default; interactive runs first.
   */
  prepareImage(input: MediaInput, options: PrepareImageOptions & { readonly lane?: Lane }): Promise<PreparedImage>;
  /** Works as `prepareWindows`: some windows of a picture, after the whole picture if the first is among them. */
  prepareWindows(
    input: MediaInput,
    options: PrepareWindowsOptions & { readonly lane?: Lane },
  ): Promise<PreparedWindows>;
  /** Works as `prepareCopies`: changed and distorted copies of a picture, one frame after the other. */
  prepareCopies(
    input: MediaInput,
    options: PrepareCopies & { readonly lane?: Lane; readonly signal?: AbortSignal | undefined },
  ): Promise<Uint8Array>;
  /**
   * Works as `prepareFrame` for each frame. The result holds all frames one after the other: uint8 RGB [frames, views ·
   * size, size, 3], or [frames, height, width, 3] with `preparation`.
   */
  prepareFrames(
    frames: readonly RawPicture[],
    options: Pick<PrepareImageOptions, 'size' | 'views' | 'preparation' | 'signal'> & { readonly lane?: Lane },
  ): Promise<Uint8Array>;
  /** Number of waiting pictures, and the time to prepare one. */
  load(): PrepareLoad;
  /** Stops the threads. Waiting jobs fail with CANCELLED. */
  close(): Promise<void>;
  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Options of the pool that decodes pictures. */
export interface PreparePoolOptions {
  /** Number of threads. Default: one per core that this process can use. */
  readonly threads?: number;
  /**
   * Memory budget of decoding, which other pools can share. Default: 4 GiB, or 128 MiB per thread if that is more. A
   * picture that needs more is decoded while nothing else is.
   */
  readonly budget?: DecodeBudget;
  /**
   * Start one thread before there is work, because its imports take 0.2 s.
   * @default false
   */
  readonly warm?: boolean;
  /** Starts one thread that runs prepare-worker.ts. Tests pass another function to simulate dying threads. */
  readonly startThread?: () => Worker;
}

/** From dist/ the thread runs plain JavaScript. From the sources, as in tests, it needs tsx to read TypeScript. */
export function startPrepareThread(): Worker {
  const compiled = new URL('./prepare-worker.js', import.meta.url);
  if (existsSync(fileURLToPath(compiled))) return new Worker(compiled, { execArgv: [] });
  const tsx = pathToFileURL(
    createRequire(import.meta.url)
      .resolve('tsx/esm/api')
      .replace(/\.cjs$/, '.mjs'),
  ).href;
  const source = new URL('./prepare-worker.ts', import.meta.url).href;
  // Node 20 ignores loaders of --import inside threads, so tsx is registered inside the thread
  return new Worker(
    `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(source)}); })`,
    { eval: true, execArgv: [] },
  );
}

/** Memory granted to a picture before its size is known: enough for a JPEG of 12 megapixels. */
const FIRST_GRANT = 128 * 1024 ** 2;
const LEAST_BUDGET = 4 * 1024 ** 3;

/**
 * Creates a pool that starts threads as work arrives. A thread runs one job at a time, and other jobs wait in two
 * lanes. A caller bounds memory by awaiting its jobs. A picture that needs more memory than is free also waits, and
 * holds no memory meanwhile. If a thread dies, its job fails, and the next job starts a new thread.
 * @example
 * ```ts
 * await using pool = createPreparePool({ threads: 2 });
 * const pictures = ['a.jpg', 'b.jpg'].map((path) => pool.prepareImage(path, { size: 448 }));
 * for (const { original } of await Promise.all(pictures)) console.log(original.width, original.height);
 * ```
 */
export function createPreparePool(options: PreparePoolOptions = {}): PreparePool {
  const threads = options.threads ?? availableParallelism();
  if (!Number.isInteger(threads) || threads < 1) {
    throw new QalignError(
      'CONFIG_INVALID',
      `The pool of picture threads cannot have ${threads} threads; give a whole number from 1.`,
    );
  }
  const budget = options.budget ?? createDecodeBudget(Math.max(LEAST_BUDGET, threads * FIRST_GRANT));
  const granted = Math.min(FIRST_GRANT, Math.floor(budget.most / threads));
  const pool = new ThreadPool(threads, budget, options.startThread ?? startPrepareThread);
  if (options.warm === true) pool.warm();
  const close = (): Promise<void> => pool.close();
  return {
    threads,
    prepareImage: async (input, options) => {
      const { size, views = WHOLE, preparation, autoOrient = false, limits, lane = 'bulk', signal } = options;
      const picture = { size, views: [...views], ...(preparation === undefined ? {} : { preparation }) };
      const own = { ...picture, autoOrient, limits: plainLimits(limits), granted };
      const prepared = await pool.submit({ kind: 'image', input, ...own }, granted, lane, signal);
      return { width: size, height: size * views.length, ...(prepared as PreparedPicture) };
    },
    prepareWindows: async (input, options) => {
      const { size, views = WHOLE, autoOrient = false, limits, lane = 'bulk', signal, map, from, count } = options;
      const picture = { size, views: [...views], autoOrient, limits: plainLimits(limits), granted };
      const own = { ...picture, map: { ...map }, range: { from, count } };
      return (await pool.submit({ kind: 'windows', input, ...own }, granted, lane, signal)) as PreparedWindows;
    },
    prepareCopies: async (input, { size, views = WHOLE, limits, plans, lane = 'bulk', signal }) => {
      const own = { size, views: [...views], limits: plainLimits(limits), granted, plans };
      return (await pool.submit({ kind: 'copies', input, ...own }, granted, lane, signal)).data;
    },
    prepareFrames: async (frames, { size, views = WHOLE, preparation, lane = 'bulk', signal }) => {
      const own = { size, views: [...views], ...(preparation === undefined ? {} : { preparation }) };
      const bytes = frames.reduce((sum, { data }) => sum + 2 * data.length, 0); // one copy here and one on the thread
      return (await pool.submit({ kind: 'frames', frames, ...own }, bytes, lane, signal)).data;
    },
    load: () => pool.load(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

type PreparedPicture = Omit<PreparedImage, 'width' | 'height'>;

interface Job {
  request: PrepareRequest;
  /** Bytes of memory taken from the budget while the job runs. */
  bytes: number;
  readonly lane: Lane;
  /** True once the job has a result or was cancelled. */
  isOver: boolean;
  /** Resolves or rejects the caller's promise. Only the first call has an effect. */
  readonly finish: (result: Prepared | Error) => void;
}

class ThreadPool {
  readonly #waiting: Readonly<Record<Lane, Set<Job>>> = { interactive: new Set(), bulk: new Set() };
  /** Jobs whose memory need is known. They run before the other jobs of their lane. */
  readonly #measured: Readonly<Record<Lane, Set<Job>>> = { interactive: new Set(), bulk: new Set() };
  /** The next job to run. It starts as soon as its memory is free. */
  #next: Job | undefined;
  readonly #turns = new LaneTurns();
  readonly #alive = new Set<Worker>();
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, { readonly job: Job; readonly since: number }>();
  #pictureMs: number | undefined;
  #closed = false;

  constructor(
    private readonly threads: number,
    private readonly budget: DecodeBudget,
    private readonly startThread: () => Worker,
  ) {}

  load(): PrepareLoad {
    return {
      threads: this.threads,
      running: this.#busy.size,
      waiting: this.#counts(),
      pictureMs: this.#pictureMs,
    };
  }

  #counts(): Record<Lane, number> {
    const of = (lane: Lane): number => this.#waiting[lane].size + this.#measured[lane].size;
    return { interactive: of('interactive'), bulk: of('bulk') };
  }

  submit(request: PrepareRequest, bytes: number, lane: Lane, signal: AbortSignal | undefined): Promise<Prepared> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closedError();
      signal?.throwIfAborted();
      const onAbort = (): void => job.finish(signal?.reason as Error);
      const job: Job = {
        request,
        bytes: Math.min(bytes, this.budget.most),
        lane,
        isOver: false,
        finish: (result) => {
          job.isOver = true;
          this.#leave(job);
          signal?.removeEventListener('abort', onAbort);
          if (result instanceof Error) reject(result);
          else resolve(result);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting[lane].add(job);
      this.#startNext();
    });
  }

  warm(): void {
    this.#release(this.#addThread());
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const lanes of [this.#waiting, this.#measured])
      for (const jobs of Object.values(lanes)) for (const job of jobs) job.finish(closedError());
    await Promise.all([...this.#alive].map((worker) => worker.terminate()));
  }

  readonly #startNext = (): void => {
    while (!this.#closed && (this.#idle.length > 0 || this.#alive.size < this.threads)) {
      const job = (this.#next ??= this.#nextJob());
      if (job === undefined || !this.budget.take(job.bytes, this.#startNext)) return;
      this.#waiting[job.lane].delete(job);
      this.#measured[job.lane].delete(job);
      this.#next = undefined;
      this.#start(job, this.#idle.pop() ?? this.#addThread());
    }
  };

  #nextJob(): Job | undefined {
    const lane = this.#turns.next(this.#counts());
    if (lane === undefined) return undefined;
    const [job] = this.#measured[lane].size > 0 ? this.#measured[lane] : this.#waiting[lane];
    return job;
  }

  /** Removes the job from the queues. */
  #leave(job: Job): void {
    this.#waiting[job.lane].delete(job);
    this.#measured[job.lane].delete(job);
    if (this.#next !== job) return;
    this.#next = undefined;
    this.budget.leave(this.#startNext);
    this.#startNext();
  }

  #start(job: Job, worker: Worker): void {
    try {
      worker.postMessage(job.request);
      worker.ref();
      this.#busy.set(worker, { job, since: performance.now() });
    } catch (error) {
      this.budget.give(job.bytes);
      this.#release(worker);
      job.finish(unsendable(error));
    }
  }

  #addThread(): Worker {
    const worker = this.startThread();
    this.#alive.add(worker);
    worker.on('message', (answer: PrepareAnswer) => this.#onAnswer(worker, answer));
    worker.on('error', (error) => this.#onDeath(worker, error));
    worker.on('exit', (code) => this.#onDeath(worker, `exit ${code}`));
    return worker;
  }

  #onAnswer(worker: Worker, answer: PrepareAnswer): void {
    const work = this.#busy.get(worker);
    if (work === undefined) return;
    const { job, since } = work;
    this.#busy.delete(worker);
    this.#giveBack(job, worker);
    if ('needs' in answer) this.#waitFor(answer.needs, job);
    else {
      if ('data' in answer && job.request.kind === 'image') this.#measure(performance.now() - since);
      job.finish('data' in answer ? answer : new QalignError(answer.code, answer.message));
    }
    this.#startNext();
  }

  /** The decoded bytes stay in the thread until garbage collection, so the thread is replaced after a large picture. */
  #giveBack(job: Job, worker: Worker): void {
    if (job.bytes <= FIRST_GRANT) {
      this.#release(worker);
      this.budget.give(job.bytes);
      return;
    }
    void worker.terminate().finally(() => {
      this.budget.give(job.bytes);
      this.#startNext();
    });
  }

  /** Puts the job back at the front of its lane, now with its known memory need. */
  #waitFor(needs: number, job: Job): void {
    const { most, refuses } = this.budget;
    if (job.isOver || job.request.kind === 'frames') return;
    if (needs > most && refuses) return job.finish(needsTooMuch(needs, most));
    job.bytes = Math.min(needs, most);
    job.request = { ...job.request, granted: needs > most ? Infinity : needs };
    this.#measured[job.lane].add(job);
  }

  #onDeath(worker: Worker, cause: unknown): void {
    if (!this.#alive.delete(worker)) return;
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    const work = this.#busy.get(worker);
    this.#busy.delete(worker);
    if (work !== undefined) this.budget.give(work.job.bytes);
    work?.job.finish(this.#closed ? closedError() : threadDied(cause));
    this.#startNext();
  }

  /** Marks the thread as idle. An idle thread does not keep the process alive. */
  #release(worker: Worker): void {
    worker.unref();
    this.#idle.push(worker);
  }

  #measure(ms: number): void {
    this.#pictureMs = this.#pictureMs === undefined ? ms : this.#pictureMs * 0.95 + ms * 0.05;
  }
}

const needsTooMuch = (needs: number, most: number): QalignError =>
  new QalignError(
    'MEDIA_TOO_LARGE',
    `Decoding the picture needs ${formatGigabytes(needs, 2)} of memory, and the limit is ${formatGigabytes(most, 2)}; make it smaller, or raise the limit (limits.decode_mb of a service).`,
  );

const closedError = (): QalignError => new QalignError('CANCELLED', 'The pool of picture threads was closed.');

const threadDied = (cause: unknown): QalignError =>
  new QalignError(
    'MEDIA_CORRUPT',
    `The thread that decoded the picture stopped (${String(cause)}); the picture is probably damaged.`,
    { cause },
  );

const unsendable = (cause: unknown): QalignError =>
  new QalignError(
    'CONFIG_INVALID',
    `The picture cannot be sent to a thread (${String(cause)}); give a path or a Uint8Array.`,
    { cause },
  );

/** Keeps numbers and `within`, because other values cannot be sent to a thread. */
function plainLimits({ within, ...limits }: Partial<MediaLimits> = {}): Partial<MediaLimits> {
  const numbers = Object.fromEntries(Object.entries(limits).filter(([, value]) => typeof value === 'number'));
  return within === undefined ? numbers : { ...numbers, within: { top: within.top, own: [...within.own] } };
}

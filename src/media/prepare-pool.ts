import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { QalignError } from '../base/errors.js';
import { LaneTurns, type Lane } from '../base/lane.js';
import type { PreparedImage, PrepareImageOptions } from './image.js';
import type { MediaLimits } from './limits.js';
import type { MediaInput } from './media-input.js';
import type { RawPicture } from './resample/resample.js';
import type { PrepareAnswer, Prepared, PrepareRequest } from './prepare-worker.js';

/** What the pool does at the moment, and what a picture costs it. */
export interface PrepareLoad {
  readonly threads: number;
  /** Jobs on a thread. */
  readonly running: number;
  readonly waiting: Readonly<Record<Lane, number>>;
  /** Of one picture on one thread, a moving average; undefined before the first. */
  readonly pictureMs: number | undefined;
}

/** Pictures and frames prepared on threads of their own, so that decoding uses every core and the main thread none. */
export interface PreparePool {
  readonly threads: number;
  /** As `prepareImage`. Bytes given as input are copied to the thread. Interactive goes before bulk, the default. */
  prepareImage(input: MediaInput, options: PrepareImageOptions & { readonly lane?: Lane }): Promise<PreparedImage>;
  /**
   * As `prepareFrame` for each frame; the result holds all frames one after the other, `frames · size · size · 3`
   * bytes.
   */
  prepareFrames(
    frames: readonly RawPicture[],
    options: { readonly size: number; readonly lane?: Lane; readonly signal?: AbortSignal },
  ): Promise<Uint8Array>;
  load(): PrepareLoad;
  /** Ends the threads; what still waits fails with CANCELLED. Nothing is left behind. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How many threads decode pictures. */
export interface PreparePoolOptions {
  /** Default: one per core that this process may use. */
  readonly threads?: number;
  /** Starts one thread that speaks as prepare-worker.ts; another one is for tests that let threads die. */
  readonly startThread?: () => Worker;
}

/** From dist/ the thread runs plain JavaScript; from the sources, as in tests, it needs tsx to read TypeScript. */
export function startPrepareThread(): Worker {
  const compiled = new URL('./prepare-worker.js', import.meta.url);
  if (existsSync(fileURLToPath(compiled))) return new Worker(compiled, { execArgv: [] });
  const tsx = pathToFileURL(
    createRequire(import.meta.url)
      .resolve('tsx/esm/api')
      .replace(/\.cjs$/, '.mjs'),
  ).href;
  const source = new URL('./prepare-worker.ts', import.meta.url).href;
  // Node 20 does not run loaders named by --import inside threads: register from within
  return new Worker(
    `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(source)}); })`,
    { eval: true, execArgv: [] },
  );
}

/**
 * Starts threads as work arrives. A thread has one job at a time; jobs beyond the threads wait in two lanes, so callers
 * keep memory flat by awaiting. A thread that dies fails its own job and is replaced at the next.
 */
export function createPreparePool(options: PreparePoolOptions = {}): PreparePool {
  const threads = options.threads ?? availableParallelism();
  if (!Number.isInteger(threads) || threads < 1) {
    throw new QalignError(
      'CONFIG_INVALID',
      `A pool of ${threads} threads cannot prepare pictures; give a whole number from 1.`,
    );
  }
  const pool = new ThreadPool(threads, options.startThread ?? startPrepareThread);
  const close = (): Promise<void> => pool.close();
  return {
    threads,
    prepareImage: async (input, { size, autoOrient = false, limits, lane = 'bulk', signal }) => {
      const request = { kind: 'image', input, size, autoOrient, limits: plainLimits(limits) } as const;
      return { width: size, height: size, ...((await pool.submit(request, lane, signal)) as PreparedPicture) };
    },
    prepareFrames: async (frames, { size, lane = 'bulk', signal }) =>
      (await pool.submit({ kind: 'frames', frames, size }, lane, signal)).data,
    load: () => pool.load(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

type PreparedPicture = Omit<PreparedImage, 'width' | 'height'>;

interface Job {
  readonly request: PrepareRequest;
  /** Settles the caller's promise; only the first call counts. */
  readonly finish: (result: Prepared | Error) => void;
}

class ThreadPool {
  readonly #waiting: Readonly<Record<Lane, Set<Job>>> = { interactive: new Set(), bulk: new Set() };
  readonly #turns = new LaneTurns();
  readonly #alive = new Set<Worker>();
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, { readonly job: Job; readonly since: number }>();
  #pictureMs: number | undefined;
  #closed = false;

  constructor(
    private readonly threads: number,
    private readonly startThread: () => Worker,
  ) {}

  load(): PrepareLoad {
    return {
      threads: this.threads,
      running: this.#busy.size,
      waiting: { interactive: this.#waiting.interactive.size, bulk: this.#waiting.bulk.size },
      pictureMs: this.#pictureMs,
    };
  }

  submit(request: PrepareRequest, lane: Lane, signal: AbortSignal | undefined): Promise<Prepared> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closedError();
      signal?.throwIfAborted();
      const onAbort = (): void => job.finish(signal?.reason as Error);
      const job: Job = {
        request,
        finish: (result) => {
          this.#waiting[lane].delete(job);
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

  async close(): Promise<void> {
    this.#closed = true;
    for (const lane of Object.values(this.#waiting)) for (const job of lane) job.finish(closedError());
    await Promise.all([...this.#alive].map((worker) => worker.terminate()));
  }

  #startNext(): void {
    while (!this.#closed && (this.#idle.length > 0 || this.#alive.size < this.threads)) {
      const job = this.#nextJob();
      if (job === undefined) return;
      this.#start(job, this.#idle.pop() ?? this.#addThread());
    }
  }

  #nextJob(): Job | undefined {
    const { interactive, bulk } = this.#waiting;
    const lane = this.#turns.next({ interactive: interactive.size, bulk: bulk.size });
    if (lane === undefined) return undefined;
    const [job] = this.#waiting[lane];
    if (job !== undefined) this.#waiting[lane].delete(job);
    return job;
  }

  #start(job: Job, worker: Worker): void {
    try {
      worker.postMessage(job.request);
      worker.ref();
      this.#busy.set(worker, { job, since: performance.now() });
    } catch (error) {
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
    if ('data' in answer && work.job.request.kind === 'image') this.#measure(performance.now() - work.since);
    work.job.finish('data' in answer ? answer : new QalignError(answer.code, answer.message));
    this.#busy.delete(worker);
    this.#release(worker);
    this.#startNext();
  }

  #onDeath(worker: Worker, cause: unknown): void {
    if (!this.#alive.delete(worker)) return;
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    const work = this.#busy.get(worker);
    this.#busy.delete(worker);
    work?.job.finish(this.#closed ? closedError() : threadDied(cause));
    this.#startNext();
  }

  /** An idle thread keeps no process alive. */
  #release(worker: Worker): void {
    worker.unref();
    this.#idle.push(worker);
  }

  #measure(ms: number): void {
    this.#pictureMs = this.#pictureMs === undefined ? ms : this.#pictureMs * 0.95 + ms * 0.05;
  }
}

const closedError = (): QalignError => new QalignError('CANCELLED', 'The pool that prepares pictures was closed.');

const threadDied = (cause: unknown): QalignError =>
  new QalignError(
    'MEDIA_CORRUPT',
    `The thread that decoded the picture died (${String(cause)}); the picture is likely damaged.`,
    { cause },
  );

const unsendable = (cause: unknown): QalignError =>
  new QalignError(
    'CONFIG_INVALID',
    `The picture cannot be sent to a thread (${String(cause)}); give a path or a Uint8Array.`,
    { cause },
  );

/** Only the known numbers cross to the thread. */
function plainLimits(limits: Partial<MediaLimits> | undefined): Partial<MediaLimits> {
  return Object.fromEntries(Object.entries(limits ?? {}).filter(([, value]) => typeof value === 'number'));
}

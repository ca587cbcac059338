import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { QalignError } from '../base/errors.js';
import type { MediaInput, PreparedImage, PrepareImageOptions } from './image.js';
import type { MediaLimits } from './limits.js';
import type { RawPicture } from './resample/resample.js';
import type { PrepareAnswer, PrepareRequest } from './prepare-worker.js';

/** Pictures and frames prepared on threads of their own, so that decoding uses every core and the main thread none. */
export interface PreparePool {
  readonly threads: number;
  /** As `prepareImage`. Bytes given as input are copied to the thread. */
  prepareImage(input: MediaInput, options: PrepareImageOptions): Promise<PreparedImage>;
  /**
   * As `prepareFrame` for each frame; the result holds all frames one after the other, `frames · size · size · 3`
   * bytes.
   */
  prepareFrames(
    frames: readonly RawPicture[],
    options: { readonly size: number; readonly signal?: AbortSignal },
  ): Promise<Uint8Array>;
  /** Ends the threads; what still waits fails with CANCELLED. Nothing is left behind. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface PreparePoolOptions {
  /** Default: one per core that this process may use. */
  readonly threads?: number;
  /** Starts one thread that speaks as prepare-worker.ts; another one is for tests that let threads die. */
  readonly startThread?: () => Worker;
}

interface Job {
  readonly request: PrepareRequest;
  readonly resolve: (data: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  settled: boolean;
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

const cancelled = (): QalignError => new QalignError('CANCELLED', 'The pool that prepares pictures was closed.');

/**
 * Starts threads as work arrives. A thread has one job at a time; jobs beyond the threads wait in order, so callers
 * keep memory flat by awaiting. A thread that dies fails its own job and is replaced at the next.
 */
export function createPreparePool(options: PreparePoolOptions = {}): PreparePool {
  const threads = options.threads ?? availableParallelism();
  const startThread = options.startThread ?? startPrepareThread;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new QalignError(
      'CONFIG_INVALID',
      `A pool of ${threads} threads cannot prepare pictures; give a whole number from 1.`,
    );
  }
  const waiting: Job[] = [];
  const idle: Worker[] = [];
  const all = new Set<Worker>();
  const busy = new Map<Worker, Job>();
  let closed = false;

  const settle = (job: Job, finish: () => void): void => {
    if (job.settled) return;
    job.settled = true;
    finish();
  };

  const free = (worker: Worker): void => {
    busy.delete(worker);
    worker.unref();
    idle.push(worker);
    startNext();
  };

  const onAnswer = (worker: Worker, answer: PrepareAnswer): void => {
    const job = busy.get(worker);
    if (job === undefined) return;
    settle(job, () => {
      if ('data' in answer) job.resolve(answer.data);
      else job.reject(new QalignError(answer.code, answer.message));
    });
    free(worker);
  };

  const onDeath = (worker: Worker, cause: unknown): void => {
    if (!all.delete(worker)) return;
    const at = idle.indexOf(worker);
    if (at >= 0) idle.splice(at, 1);
    const job = busy.get(worker);
    busy.delete(worker);
    if (job !== undefined) {
      settle(job, () => {
        job.reject(
          closed
            ? cancelled()
            : new QalignError(
                'MEDIA_CORRUPT',
                `The thread that decoded the picture died (${String(cause)}); the picture is likely damaged.`,
                { cause },
              ),
        );
      });
    }
    startNext();
  };

  const addThread = (): Worker => {
    const worker = startThread();
    all.add(worker);
    worker.on('message', (answer: PrepareAnswer) => {
      onAnswer(worker, answer);
    });
    worker.on('error', (error) => {
      onDeath(worker, error);
    });
    worker.on('exit', (code) => {
      onDeath(worker, `exit ${code}`);
    });
    return worker;
  };

  const startNext = (): void => {
    while (!closed && waiting.length > 0 && (idle.length > 0 || all.size < threads)) {
      const job = waiting.shift();
      if (job === undefined) return;
      if (job.settled) continue;
      const worker = idle.pop() ?? addThread();
      worker.ref();
      busy.set(worker, job);
      try {
        worker.postMessage(job.request);
      } catch (error) {
        settle(job, () => {
          job.reject(
            new QalignError(
              'CONFIG_INVALID',
              `The picture cannot be sent to a thread (${String(error)}); give a path or a Uint8Array.`,
              { cause: error },
            ),
          );
        });
        busy.delete(worker);
        worker.unref();
        idle.push(worker);
      }
    }
  };

  const submit = (request: PrepareRequest, signal: AbortSignal | undefined): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      if (closed) throw cancelled();
      signal?.throwIfAborted();
      const onAbort = (): void => {
        settle(job, () => {
          job.reject(signal?.reason as Error);
        });
      };
      const done = (): void => signal?.removeEventListener('abort', onAbort);
      const job: Job = {
        request,
        resolve: (data) => {
          done();
          resolve(data);
        },
        reject: (error) => {
          done();
          reject(error);
        },
        settled: false,
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      waiting.push(job);
      startNext();
    });

  const close = async (): Promise<void> => {
    closed = true;
    for (const job of waiting.splice(0)) {
      settle(job, () => {
        job.reject(cancelled());
      });
    }
    await Promise.all([...all].map((worker) => worker.terminate()));
  };

  return {
    threads,
    prepareImage: async (input, { size, autoOrient = false, limits, signal }) => {
      const data = await submit({ kind: 'image', input, size, autoOrient, limits: plainLimits(limits) }, signal);
      return { width: size, height: size, data };
    },
    prepareFrames: async (frames, { size, signal }) => submit({ kind: 'frames', frames, size }, signal),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Only the known numbers cross to the thread. */
function plainLimits(limits: Partial<MediaLimits> | undefined): Partial<MediaLimits> {
  return Object.fromEntries(Object.entries(limits ?? {}).filter(([, value]) => typeof value === 'number'));
}

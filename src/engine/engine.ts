import { openBridge, type BridgeLimits } from '../../bridge/client.js';
import type { ChatSettings } from '../../bridge/protocol/chat.js';
import type { Backend, LoadedModel, Precision, WarmUp } from '../../bridge/protocol/models.js';
import type { Listen } from '../../bridge/transport.js';
import { startWorkerProcess, type WaitingProcess } from '../../bridge/worker-process.js';
import { QalignError } from '../base/errors.js';
import { silentLogger, type Logger } from '../base/logger.js';
import { scoreClip, type ClipSource } from './clip.js';
import { loadModelParams } from './load-model.js';
import { Pool, type BatchReport, type EngineStats, type ItemOptions } from './pool.js';
import type { PythonCommand } from './python/environment.js';
import type { Prompt, PromptAnswer, Visual } from './queue.js';
import { Slot } from './slot.js';

export interface EngineOptions {
  readonly python: PythonCommand;
  /** A directory or a hub id. */
  readonly model: string;
  readonly revision?: string;
  /** Default: mplug_owl2. */
  readonly backend?: Backend;
  /** How a model of transformers is asked. */
  readonly chat?: ChatSettings;
  /** Base model of a LoRA adapter. */
  readonly base?: string;
  readonly baseRevision?: string;
  /** One worker per entry: `cpu`, `cuda:0`, … An entry `remote` is a worker that connects to `listen`. */
  readonly devices: readonly string[];
  /** The address to which workers on other hosts connect (`python -m qalign.worker --connect ADDRESS --keys FILE`). */
  readonly listen?: Listen;
  readonly precision: Precision;
  readonly offline?: boolean;
  readonly cacheDir?: string;
  /** Maximum number of frames in one request to a worker. Default: 16 for a worker on a CPU, 64 on CUDA. */
  readonly maxBatchFrames?: number;
  /** Compute each item alone, so that the bits of its answer do not depend on its batch. */
  readonly deterministic?: boolean;
  /** The expected requests. A GPU is prepared for them during the load. */
  readonly warmUp?: WarmUp;
  readonly limits?: Partial<BridgeLimits>;
  readonly log?: Logger;
  /** Called during download, load and warm-up of the model. */
  readonly onProgress?: (progress: { stage: string; done: number; total: number; unit: string }) => void;
  readonly signal?: AbortSignal;
  /** A worker process that was started before. The first local worker takes it. */
  readonly waiting?: WaitingProcess | undefined;
  /** The Python module to start. Only fault tests set it. */
  readonly workerModule?: string;
  /**
   * Retry a repeatedly failing worker forever, starting at intervals of ten seconds, as a service must. Otherwise the
   * engine stops after several failures.
   */
  readonly revive?: boolean;
  /** Called for every batch that was answered. */
  readonly onBatch?: (batch: BatchReport) => void;
}

export interface Engine extends AsyncDisposable {
  readonly model: LoadedModel;
  /**
   * Scores one item.
   * @throws QalignError of this item: MODEL_*, NON_FINITE, OUT_OF_MEMORY, WORKER_LOST, WORKER_HUNG, CANCELLED, …
   */
  score(
    item: { visuals: readonly Visual[]; prompts: readonly Prompt[] },
    options?: ItemOptions,
  ): Promise<PromptAnswer[]>;
  /**
   * Scores a clip. A clip with more frames than a batch is never in memory as a whole: it is sent to one worker in
   * chunks. @throws the same, and the errors of its `chunks`
   */
  scoreClip(clip: ClipSource, options?: ItemOptions): Promise<PromptAnswer[]>;
  /**
   * Returns a place in the queue. Items with the same ticket stay together, even if they are ready at different times.
   */
  ticket(): number;
  stats(): EngineStats;
  /** Rejects waiting items, finishes running batches, stops the workers and removes the socket. */
  close(): Promise<void>;
}

/** Frames of one request. CUDA needs 64 to fill its matrix units; on a CPU, 16 stay near the caches. */
const BATCH_FRAMES = { cpu: 16, cuda: 64 } as const;

/**
 * Starts one worker per device, loads the model on each, and scores items in batches. As soon as a worker has a credit,
 * it gets all waiting items up to `maxBatchFrames`. There are no timers: an idle worker never waits for a fuller batch.
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  if (options.devices.includes('remote') && options.listen === undefined)
    throw new QalignError('CONFIG_INVALID', 'Remote workers need an address to connect to; set `listen`.');
  const bridge = await openBridge();
  const distant =
    options.listen === undefined
      ? bridge
      : await openBridge(options.listen).catch(async (error: unknown) => {
          await bridge.close(); // an open socket keeps the process alive
          throw error;
        });
  const log = options.log ?? silentLogger;
  const pool = new Pool(
    options.maxBatchFrames ?? ((device) => (device.startsWith('cuda') ? BATCH_FRAMES.cuda : BATCH_FRAMES.cpu)),
    options.onBatch ?? (() => {}),
  );
  const slots = options.devices.map(
    (device) =>
      new Slot({
        bridge: device === 'remote' ? distant : bridge,
        log,
        revive: options.revive ?? false,
        worker: {
          python: options.python,
          device,
          start: (start) => options.waiting?.adopt(start) ?? startWorkerProcess(start),
          log: (level, message, fields) => log[level](message, fields),
          ...(options.workerModule === undefined ? {} : { module: options.workerModule }),
          ...(options.limits === undefined ? {} : { limits: options.limits }),
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        },
        load: loadModelParams({ ...options, device }),
        onProgress: (progress) =>
          options.onProgress?.(progress as { stage: string; done: number; total: number; unit: string }),
        onChange: () => pool.pump(),
      }),
  );
  pool.slots.push(...slots);
  const close = async (): Promise<void> => {
    await pool.close();
    await Promise.all([bridge.close(), distant.close()]);
  };
  try {
    const models = await startAll(slots, options.revive ?? false);
    const model = models[0];
    if (model === undefined)
      throw new QalignError('DEVICE_UNAVAILABLE', 'No device is configured; use "cpu" or "cuda:0".');
    if (models.some((other) => other.weights_sha256 !== model.weights_sha256)) {
      throw new QalignError(
        'MODEL_INVALID',
        `The workers loaded different weights for ${options.model}; do not change the files while they load.`,
      );
    }
    return {
      model,
      score: (item, extra) => pool.submit(item, extra),
      scoreClip: (clip, extra) => scoreClip(pool, clip, extra),
      ticket: () => pool.ticket(),
      stats: () => pool.stats(),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Starts all slots and returns their models. With `revive`, failed devices are retried later if at least one device
 * works.
 * @throws QalignError of the first slot that failed
 */
async function startAll(slots: readonly Slot[], revive: boolean): Promise<LoadedModel[]> {
  if (!revive) return Promise.all(slots.map((slot) => slot.start()));
  const started = await Promise.allSettled(slots.map((slot) => slot.start()));
  const models = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  for (const [index, one] of started.entries()) {
    if (one.status === 'fulfilled') continue;
    const reason = one.reason as QalignError;
    if (models[0] === undefined || !DEVICE_CODES.includes(reason.code)) throw reason;
    slots[index]?.startLater(reason, models[0]);
  }
  return models;
}

/** Errors that a single device can cause. Other errors affect every slot. */
const DEVICE_CODES: readonly string[] = [
  ...['WORKER_LOST', 'WORKER_HUNG', 'WORKER_START_FAILED', 'WORKER_INTERNAL'],
  ...['DEVICE_FAILED', 'OUT_OF_MEMORY'],
];

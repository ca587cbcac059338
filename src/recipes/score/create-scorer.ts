import type { WaitingProcess } from '../../../bridge/worker-process.js';
import { createPercentGate } from '../../base/percent-gate.js';
import { createEngine } from '../../engine/index.js';
import { ensurePython } from '../../engine/python/environment.js';
import { createPreparePool } from '../../media/prepare-pool.js';
import { createPreparer } from '../../media/preparer.js';
import { openSource } from '../../media/sources.js';
import { readBridgeKeys } from './bridge-keys.js';
import { requireDevices, resolveDevices } from './devices.js';
import { createScorerFrom } from './score.js';
import type { Scorer, ScorerOptions, ScorerParts } from './scorer.js';

/**
 * Loads a model and starts what scoring needs: Python workers, threads that decode, ffmpeg for clips. Close the scorer
 * at the end, or write `await using`.
 * @throws QalignError CONFIG_*, MODEL_*, DEVICE_UNAVAILABLE, PYTHON_*, WORKER_START_FAILED; USAGE for a wrong option
 * @example
 * await using scorer = await createScorer({ model: 'nano' });
 * const outcome = await scorer.score('photo.jpg', { task: 'quality' });
 * if (!isFailure(outcome)) console.log(outcome.score, outcome.level);
 */
export async function createScorer(options: ScorerOptions = {}): Promise<Scorer> {
  return createScorerFrom(realParts(), options);
}

/** Works as `createScorer`. Its first local worker takes the process `waiting`, which was started before. */
export async function createScorerWith(waiting: WaitingProcess | undefined, options: ScorerOptions): Promise<Scorer> {
  return createScorerFrom(realParts(waiting), options);
}

const realParts = (waiting?: WaitingProcess): ScorerParts => ({
  async createEngine(
    choice,
    {
      device,
      devices: named,
      listen,
      bridgeKeys,
      precision,
      offline,
      maxBatchFrames,
      deterministic,
      stepMs,
      log,
      revive,
      onBatch,
      onProgress,
      held,
      signal,
    },
    warmUp,
  ) {
    const place = (folder: string): string => held?.get(folder) ?? folder;
    const wanted = named?.join(',') ?? device ?? 'auto';
    requireDevices(wanted); // fails before the Python environment is created
    const keys = bridgeKeys === undefined ? undefined : await readBridgeKeys(bridgeKeys);
    const shared = { ...(log === undefined ? {} : { log }), ...(signal === undefined ? {} : { signal }) };
    const isChat = choice.backend === 'transformers';
    const python = await ensurePython({
      ...shared,
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(isChat ? { extras: ['transformers'] as const, offline: offline ?? false } : {}),
    });
    const devices = await resolveDevices(wanted, python, signal);
    onProgress?.(`loading ${choice.id}`);
    const heard = createPercentGate(); // workers report every tensor
    return createEngine({
      ...shared,
      python,
      waiting,
      devices,
      ...(warmUp === undefined ? {} : { warmUp }),
      ...(choice.backend === undefined ? {} : { backend: choice.backend }),
      ...(choice.chat === undefined ? {} : { chat: choice.chat }),
      model: place(choice.model),
      precision: precision ?? 'auto',
      offline: offline ?? false,
      ...(listen === undefined ? {} : { listen: { address: listen, keys } }),
      ...(maxBatchFrames === undefined ? {} : { maxBatchFrames }),
      ...(deterministic === undefined ? {} : { deterministic }),
      ...(stepMs === undefined ? {} : { limits: { answeringStepMs: stepMs } }),
      ...(revive === undefined ? {} : { revive }),
      ...(onBatch === undefined ? {} : { onBatch }),
      ...(choice.revision === undefined ? {} : { revision: choice.revision }),
      ...(choice.base === undefined ? {} : { base: place(choice.base) }),
      ...(choice.baseRevision === undefined ? {} : { baseRevision: choice.baseRevision }),
      onProgress: ({ stage, done, total }) => {
        if (heard(stage, done, total)) onProgress?.(`${choice.id}: ${stage}`, done, total);
      },
    });
  },
  createPreparer: ({ decodeBudget: budget }) =>
    createPreparer(createPreparePool({ warm: true, ...(budget === undefined ? {} : { budget }) })),
  toSource: (input, { signal, allowUrls }) => openSource(input, { signal, allowUrls }),
});

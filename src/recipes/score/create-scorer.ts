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

/** A scorer on the real engine: Python workers, threads that decode, ffmpeg for clips. */
export async function createScorer(options: ScorerOptions = {}): Promise<Scorer> {
  return createScorerFrom(REAL_PARTS, options);
}

const REAL_PARTS: ScorerParts = {
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
  ) {
    const place = (folder: string): string => held?.get(folder) ?? folder;
    const wanted = named?.join(',') ?? device ?? 'auto';
    requireDevices(wanted); // before an environment is made
    const keys = bridgeKeys === undefined ? undefined : await readBridgeKeys(bridgeKeys);
    const shared = { ...(log === undefined ? {} : { log }), ...(signal === undefined ? {} : { signal }) };
    const python = await ensurePython({ ...shared, ...(onProgress === undefined ? {} : { onProgress }) });
    const devices = await resolveDevices(wanted, python, signal);
    onProgress?.(`loading ${choice.id}`);
    const heard = createPercentGate(); // workers tell of every tensor
    return createEngine({
      ...shared,
      python,
      devices,
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
    createPreparer(createPreparePool(budget === undefined ? {} : { budget })),
  toSource: (input, { signal, allowUrls }) => openSource(input, { signal, allowUrls }),
};

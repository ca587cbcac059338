import { createEngine } from '../../engine/index.js';
import { ensurePython } from '../../engine/python/environment.js';
import { isFrameFolder, readFrameFolder } from '../../media/video/frame-folder.js';
import { createPreparePool, type PreparePool } from '../../media/prepare-pool.js';
import { prepareVideo } from '../../media/video/video-prepare.js';
import { readBridgeKeys } from './bridge-keys.js';
import { resolveDevices } from './devices.js';
import { createPriorityGate } from '../../base/priority-gate.js';
import { openSource } from '../../media/sources.js';
import {
  createScorerFrom,
  type PrepareOptions,
  type Scorer,
  type ScorerOptions,
  type ScorerParts,
  type ScoreSource,
  type Visual,
} from './score.js';

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
      log,
      revive,
      onBatch,
      onProgress,
      signal,
    },
  ) {
    const keys = bridgeKeys === undefined ? undefined : await readBridgeKeys(bridgeKeys);
    const shared = { ...(log === undefined ? {} : { log }), ...(signal === undefined ? {} : { signal }) };
    const python = await ensurePython({ ...shared, ...(onProgress === undefined ? {} : { onProgress }) });
    const devices = await resolveDevices(named?.join(',') ?? device ?? 'auto', python, signal);
    onProgress?.(`loading ${choice.id}`);
    return createEngine({
      ...shared,
      python,
      devices,
      model: choice.model,
      precision: precision ?? 'auto',
      offline: offline ?? false,
      ...(listen === undefined ? {} : { listen: { address: listen, keys } }),
      ...(maxBatchFrames === undefined ? {} : { maxBatchFrames }),
      ...(revive === undefined ? {} : { revive }),
      ...(onBatch === undefined ? {} : { onBatch }),
      ...(choice.revision === undefined ? {} : { revision: choice.revision }),
      ...(choice.base === undefined ? {} : { base: choice.base }),
      ...(choice.baseRevision === undefined ? {} : { baseRevision: choice.baseRevision }),
      onProgress: ({ stage, done, total }) => onProgress?.(`${choice.id}: ${stage}`, done, total),
    });
  },
  createPreparer() {
    const pool = createPreparePool();
    // one at work and one waiting a thread: none is ever idle for want of a message
    const gate = createPriorityGate(pool.threads * 2);
    let pictureMs: number | undefined;
    const timed = async (source: ScoreSource, options: PrepareOptions): Promise<Visual> => {
      const started = performance.now();
      const visual = await prepareImage(pool, source, options);
      const ms = ((performance.now() - started) * pool.threads) / Math.max(pool.threads, gate.running);
      pictureMs = pictureMs === undefined ? ms : pictureMs * 0.95 + ms * 0.05;
      return visual;
    };
    return {
      prepare: (source, options) =>
        source.kind === 'image'
          ? gate.pass(options.lane, () => timed(source, options), options.signal)
          : prepareClip(source, options),
      load: () => ({
        threads: pool.threads,
        running: gate.running,
        waiting: { interactive: gate.waiting('interactive'), bulk: gate.waiting('bulk') },
        pictureMs,
      }),
      close: () => pool.close(),
    };
  },
  toSource: (input, { signal, allowUrls }) => openSource(input, { signal, allowUrls }),
};

async function prepareImage(
  pool: PreparePool,
  source: ScoreSource,
  { size, autoOrient, limits, signal }: PrepareOptions,
): Promise<Visual> {
  const { data } = await pool.prepareImage(source.media, {
    size,
    autoOrient,
    ...(limits === undefined ? {} : { limits }),
    ...(signal === undefined ? {} : { signal }),
  });
  return { frames: 1, data, warnings: [] };
}

/**
 * Frames are resized as they come out of ffmpeg, which decodes in a process of its own; a folder of frames was made by
 * "dataset convert --extract-frames".
 */
async function prepareClip(
  source: ScoreSource,
  { size, fps, maxFrames, limits, signal }: PrepareOptions,
): Promise<Visual> {
  if (await isFrameFolder(source.media)) return readFrameFolder(source.media as string, { size, maxFrames, signal });
  const { data, frames, warnings } = await prepareVideo(source.media, { size, fps, maxFrames, limits, signal });
  return { frames, data, warnings };
}

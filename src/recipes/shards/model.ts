import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ScoreOutcome } from '../../api/result.js';
import { packageVersion } from '../../base/package-root.js';
import { knownPython } from '../../engine/python/environment.js';
import type { Scorer } from '../score/scorer.js';
import type { ReadyEvent } from './events.js';
import type { ShardScorer } from './score-shard.js';

/** Batch where workers of several kinds share the work: the smallest of the engine. */
const LEAST_BATCH = 16;
/** One batch is computed, one waits at the worker, one is being filled. */
const BATCHES_PER_WORKER = 3;

/** Adds what a calibration gives; its version includes that of the scores. */
export interface Finisher {
  readonly rowVersion: string;
  apply(outcome: ScoreOutcome): ScoreOutcome;
}

/** Divides the work of shards for a loaded model. The blocks in work fit into what the scorer holds at a time. */
export function shardScorerOf(scorer: Scorer, finisher?: Finisher): ShardScorer {
  const engine = scorer.load().engine;
  const workers = Math.max(1, engine?.workers.length ?? 1);
  const most = engine?.maxBatchFrames ?? LEAST_BATCH;
  const isUniform = engine === undefined || engine.batchFrames === most * workers;
  const batch = Math.min(scorer.width(), isUniform ? most : LEAST_BATCH);
  return {
    scorer,
    version: finisher?.rowVersion ?? scorer.scoreVersion,
    batch,
    blocks: Math.max(1, Math.min(BATCHES_PER_WORKER * workers, Math.floor(scorer.width() / batch))),
    finish: (outcome) => finisher?.apply(outcome) ?? outcome,
  };
}

const VERSIONS =
  'import importlib.metadata as m, json, platform; print(json.dumps([platform.python_version(), m.version("torch")]))';

/** The event that says that a model answers, with the versions on which its scores depend. */
export async function readyEvent(scorer: Pick<Scorer, 'model'>, scoreVersion: string): Promise<ReadyEvent> {
  const [python, torch] = await pythonVersions();
  return {
    event: 'ready',
    qalign: packageVersion,
    score_version: scoreVersion,
    device: scorer.model.device,
    python,
    torch,
  };
}

async function pythonVersions(): Promise<readonly [python: string, torch: string]> {
  try {
    const python = await knownPython();
    if (python === undefined) return ['', ''];
    const { stdout } = await promisify(execFile)(python.executable, ['-c', VERSIONS], { timeout: 30_000 });
    return JSON.parse(stdout) as [string, string];
  } catch {
    return ['', ''];
  }
}

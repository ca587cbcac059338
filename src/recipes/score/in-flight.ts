import type { Lane } from '../../base/lane.js';
import { createPriorityGate } from '../../base/priority-gate.js';
import type { EngineStats } from '../../engine/index.js';
import type { Kind } from '../../prompts/subject.js';

/** Clips hold many frames each: only so many are decoded or waiting at a time. */
const CLIPS_IN_FLIGHT = 2;
/** One batch runs, one waits at the worker, one is gathered. */
const BATCHES_IN_FLIGHT = 3;
const LEAST_IN_FLIGHT = 128;

/** Bounds the memory of a scorer: inputs beyond these wait undecoded. */
export interface InFlight {
  /** So many pictures, decoded or waiting for the model, keep every worker busy. */
  width(): number;
  /** Runs `work`, from decoding to the answer, as soon as there is room for an input of this kind. */
  pass<T>(kind: Kind, lane: Lane, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
  /** Pictures that wait undecoded. */
  waiting(lane: Lane): number;
}

export function createInFlight(stats: () => EngineStats | undefined): InFlight {
  const width = (): number => {
    const { maxBatchFrames, workers } = stats() ?? { maxBatchFrames: 0, workers: [] };
    return Math.max(LEAST_IN_FLIGHT, BATCHES_IN_FLIGHT * maxBatchFrames * workers.length);
  };
  // a gate for each lane: bulk never takes the places of interactive pictures
  const pictures = { interactive: createPriorityGate(width), bulk: createPriorityGate(width) };
  const clips = createPriorityGate(CLIPS_IN_FLIGHT);
  return {
    width,
    pass: (kind, lane, work, signal) => (kind === 'video' ? clips : pictures[lane]).pass(lane, work, signal),
    waiting: (lane) => pictures[lane].waiting(lane),
  };
}

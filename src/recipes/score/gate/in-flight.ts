import type { Lane } from '../../../base/lane.js';
import { createPriorityGate, type PriorityGate } from '../../../base/priority-gate.js';
import type { EngineStats } from '../../../engine/index.js';
import type { Kind } from '../../../prompts/subject.js';

/** One batch is computed, one waits at the worker, one is being filled. */
const BATCHES_IN_FLIGHT = 3;
const LEAST_IN_FLIGHT = 128;
/** Windows of one picture that are prepared at a time: 19 MB at 448 px. */
export const WINDOWS_AT_A_TIME = 32;
/** Pictures with maps at a time. With 9 windows each, they fill a batch of 64. */
const LEAST_MAPS = 8;

/** Bounds the memory of the pictures of a scorer: inputs over the limit wait before they are decoded. */
export interface InFlight {
  /** Number of pictures, decoded or waiting for the model, that keeps every worker busy. */
  width(): number;
  /**
   * Runs `work`, from decoding to the answer, once an input of this kind is within the limit. `map`: a picture with its
   * windows. Clips do not wait here: their limit depends on their frames (see gateClips).
   */
  pass<T>(kind: Kind | 'map', lane: Lane, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
  /** Number of pictures that wait to be decoded. */
  waiting(lane: Lane): number;
}

/** @param most limit for models with large pictures */
export function createInFlight(stats: () => EngineStats | undefined, most = Infinity): InFlight {
  const width = (): number => {
    return Math.min(most, Math.max(LEAST_IN_FLIGHT, BATCHES_IN_FLIGHT * (stats()?.batchFrames ?? 0)));
  };
  // one gate per lane, so that bulk pictures never take the places of interactive ones
  const pictures = { interactive: createPriorityGate(width), bulk: createPriorityGate(width) };
  const maps = {
    interactive: createPriorityGate(() => mapsAtATime(width())),
    bulk: createPriorityGate(() => mapsAtATime(width())),
  };
  const gateOf = (kind: 'image' | 'map', lane: Lane): PriorityGate => (kind === 'map' ? maps : pictures)[lane];
  return {
    width,
    pass: (kind, lane, work, signal) => (kind === 'video' ? work() : gateOf(kind, lane).pass(lane, work, signal)),
    waiting: (lane) => pictures[lane].waiting(lane) + maps[lane].waiting(lane),
  };
}

const mapsAtATime = (width: number): number => Math.max(LEAST_MAPS, Math.ceil(width / WINDOWS_AT_A_TIME));

import type { DeviceMemory } from '../../bridge/protocol/memory.js';
import type { DeviceState } from '../engine/index.js';
import type { Scorer } from '../recipes/score/scorer.js';
import type { Admission } from './score/admission.js';

/** A value that is read from each loaded model at each scrape. */
export interface LoadGauge {
  readonly name: string;
  readonly help: string;
  /** The label `model` is added to each value. */
  readonly labelNames: readonly string[];
  readonly read: (scorer: Scorer, admission: Admission) => readonly Reading[];
}

interface Reading {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

const STATES: readonly DeviceState[] = ['ready', 'starting', 'silent', 'set_aside'];

export const LOAD_GAUGES: readonly LoadGauge[] = [
  {
    name: 'qalign_queue_frames',
    help: 'frames waiting for a worker',
    labelNames: ['model', 'lane'],
    read: (scorer) => byLane(scorer.load().engine?.queuedFrames),
  },
  {
    name: 'qalign_prepare_waiting',
    help: 'pictures waiting to be decoded',
    labelNames: ['model', 'lane'],
    read: (scorer) => byLane(scorer.load().preparing?.waiting),
  },
  {
    name: 'qalign_prepare_seconds',
    help: 'time to decode and prepare a picture, moving average',
    labelNames: ['model'],
    read: (scorer) => [{ value: (scorer.load().preparing?.pictureMs ?? 0) / 1000 }],
  },
  {
    name: 'qalign_expected_wait_seconds',
    help: 'predicted time to answer a new picture',
    labelNames: ['model'],
    read: (scorer, admission) => [{ value: (admission.predict(scorer) ?? 0) / 1000 }],
  },
  {
    name: 'qalign_workers_ready',
    help: 'workers that are ready',
    labelNames: ['model'],
    read: (scorer) => [{ value: scorer.load().engine?.workers.filter(({ ready }) => ready).length ?? 0 }],
  },
  {
    name: 'qalign_device_state',
    help: 'workers of a device by state; set_aside: it failed repeatedly and is retried later',
    labelNames: ['model', 'device', 'state'],
    read: (scorer) =>
      (scorer.load().engine?.workers ?? []).flatMap((worker) =>
        STATES.map((state) => ({
          value: worker.state === state ? 1 : 0,
          labels: { device: worker.device, state },
        })),
      ),
  },
  {
    name: 'qalign_oldest_batch_seconds',
    help: 'age of the oldest batch that a worker has not answered',
    labelNames: ['model', 'device'],
    read: (scorer) => {
      const oldest = new Map<string, number>();
      for (const { device, oldest_batch_ms: ms } of scorer.load().engine?.workers ?? [])
        oldest.set(device, Math.max(oldest.get(device) ?? 0, ms / 1000));
      return [...oldest].map(([device, value]) => ({ value, labels: { device } }));
    },
  },
  {
    name: 'qalign_worker_restarts',
    help: 'restarts of workers',
    labelNames: ['model', 'device'],
    read: (scorer) =>
      (scorer.load().engine?.workers ?? []).map(({ device, restarts }) => ({ value: restarts, labels: { device } })),
  },
  {
    name: 'qalign_worker_resident_bytes',
    help: 'memory of the workers',
    labelNames: ['model', 'device'],
    read: (scorer) =>
      (scorer.load().engine?.workers ?? []).map(({ device, rss_bytes }) => ({ value: rss_bytes, labels: { device } })),
  },
  {
    name: 'qalign_worker_device_bytes',
    help: 'memory of workers on a GPU after their last request. allocated: of tensors; reserved: with the cache; peak: largest allocated since the load',
    labelNames: ['model', 'device', 'kind'],
    read: (scorer) => memoryOf(scorer, ['allocated', 'reserved', 'peak']),
  },
  {
    name: 'qalign_device_bytes',
    help: 'memory of a GPU after the last request of a worker, by kind: free, total',
    labelNames: ['model', 'device', 'kind'],
    read: (scorer) => {
      const last = new Map(memoryOf(scorer, ['free', 'total']).map((one) => [JSON.stringify(one.labels), one]));
      return [...last.values()]; // workers share their GPU, so values are not summed
    },
  },
];

const byLane = (counts: Readonly<Record<string, number>> = {}): Reading[] =>
  Object.entries(counts).map(([lane, value]) => ({ value, labels: { lane } }));

function memoryOf(
  scorer: Scorer,
  kinds: readonly (keyof DeviceMemory extends `${infer K}_bytes` ? K : never)[],
): Reading[] {
  return (scorer.load().engine?.workers ?? []).flatMap(({ device, device_memory: memory }) =>
    memory === undefined ? [] : kinds.map((kind) => ({ value: memory[`${kind}_bytes`], labels: { device, kind } })),
  );
}

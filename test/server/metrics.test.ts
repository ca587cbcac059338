import { expect, it } from 'vitest';
import { createDecodeBudget } from '../../src/media/budget/decode-budget.js';
import type { Scorer } from '../../src/recipes/score/scorer.js';
import { createMetrics, type Metrics } from '../../src/server/metrics.js';
import type { Admission } from '../../src/server/score/admission.js';

type Load = ReturnType<Scorer['load']>;
const scorer = (load: object): Scorer => ({ load: () => load as Load }) as Scorer;
const admission = { predict: () => 30 } as unknown as Admission;
const linesOf = async ({ registry }: Metrics, name: string): Promise<string[]> =>
  (await registry.metrics()).split('\n').filter((line) => line.startsWith(name));

it('counts the frames, the fill and the times of a batch', async () => {
  const metrics = createMetrics();
  metrics.onBatch('a', {
    device: 'cpu',
    items: 2,
    frames: 3,
    capacity: 4,
    computeMs: 10,
    serviceMs: 12,
    queuedMs: [1, 2],
  });
  expect(await linesOf(metrics, 'qalign_frames_total')).toEqual(['qalign_frames_total{model="a",device="cpu"} 3']);
  expect(await linesOf(metrics, 'qalign_batch_fill_ratio_sum')).toEqual([
    'qalign_batch_fill_ratio_sum{model="a"} 0.75',
  ]);
  expect(await linesOf(metrics, 'qalign_stage_seconds_count')).toEqual([
    'qalign_stage_seconds_count{model="a",stage="compute"} 1',
    'qalign_stage_seconds_count{model="a",stage="service"} 1',
    'qalign_stage_seconds_count{model="a",stage="queue"} 2',
  ]);
});

it('has the memory of GPUs: summed over the workers of a device, but free and total once', async () => {
  const metrics = createMetrics();
  const bytes = { allocated_bytes: 10, reserved_bytes: 20, peak_bytes: 30, free_bytes: 40, total_bytes: 50 };
  const worker = { device: 'cuda:0', state: 'ready', ready: true, restarts: 0, rss_bytes: 1, device_memory: bytes };
  const { device_memory: _none, ...onCpu } = { ...worker, device: 'cpu' };
  const engine = { queuedFrames: {}, workers: [worker, worker, onCpu] };
  const parts = { memoryUsed: () => 0, decodeBudget: createDecodeBudget(1), webhooksWaiting: () => 0 };
  metrics.watch(new Map([['a', scorer({ engine })]]), admission, parts);
  const value = (name: string, kind: string, to: number): string =>
    `${name}{model="a",device="cuda:0",kind="${kind}"} ${to}`;
  expect(await linesOf(metrics, 'qalign_worker_device_bytes')).toEqual([
    value('qalign_worker_device_bytes', 'allocated', 20),
    value('qalign_worker_device_bytes', 'reserved', 40),
    value('qalign_worker_device_bytes', 'peak', 60),
  ]);
  expect(await linesOf(metrics, 'qalign_device_bytes')).toEqual([
    value('qalign_device_bytes', 'free', 40),
    value('qalign_device_bytes', 'total', 50),
  ]);
});

it('reads the load of each model on request, with the workers of one device summed', async () => {
  const metrics = createMetrics();
  const worker = { device: 'cpu', state: 'ready', oldest_batch_ms: 500, ready: true, restarts: 2, rss_bytes: 100 };
  const loaded = new Map([
    [
      'a',
      scorer({
        engine: {
          queuedFrames: { interactive: 1, bulk: 2 },
          workers: [worker, { ...worker, state: 'set_aside', oldest_batch_ms: 2_000, ready: false, restarts: 3 }],
        },
        preparing: { waiting: { bulk: 7 }, pictureMs: 12 },
      }),
    ],
    ['starting', scorer({})],
  ]);
  const decodeBudget = createDecodeBudget(100);
  decodeBudget.take(70, () => {});
  decodeBudget.take(50, () => {});
  metrics.watch(loaded, admission, { memoryUsed: () => 42, decodeBudget, webhooksWaiting: () => 3 });
  for (const _scrape of [1, 2]) {
    expect(await linesOf(metrics, 'qalign_queue_frames')).toEqual([
      'qalign_queue_frames{model="a",lane="interactive"} 1',
      'qalign_queue_frames{model="a",lane="bulk"} 2',
    ]);
    expect(await linesOf(metrics, 'qalign_worker_restarts')).toEqual([
      'qalign_worker_restarts{model="a",device="cpu"} 5',
    ]);
  }
  expect(await linesOf(metrics, 'qalign_device_state')).toEqual([
    'qalign_device_state{model="a",device="cpu",state="ready"} 1',
    'qalign_device_state{model="a",device="cpu",state="starting"} 0',
    'qalign_device_state{model="a",device="cpu",state="silent"} 0',
    'qalign_device_state{model="a",device="cpu",state="set_aside"} 1',
  ]);
  expect(await linesOf(metrics, 'qalign_oldest_batch_seconds')).toEqual([
    'qalign_oldest_batch_seconds{model="a",device="cpu"} 2',
  ]);
  expect(await linesOf(metrics, 'qalign_workers_ready')).toEqual([
    'qalign_workers_ready{model="a"} 1',
    'qalign_workers_ready{model="starting"} 0',
  ]);
  expect(await linesOf(metrics, 'qalign_prepare_seconds')).toContain('qalign_prepare_seconds{model="a"} 0.012');
  expect(await linesOf(metrics, 'qalign_expected_wait_seconds')).toContain(
    'qalign_expected_wait_seconds{model="a"} 0.03',
  );
  expect(await linesOf(metrics, 'qalign_body_bytes')).toEqual(['qalign_body_bytes 42']);
  expect(await linesOf(metrics, 'qalign_decode_')).toEqual([
    'qalign_decode_bytes 70',
    'qalign_decode_limit_bytes 100',
    'qalign_decode_waiting 1',
  ]);
  loaded.delete('a');
  expect(await linesOf(metrics, 'qalign_queue_frames')).toEqual([]);
});

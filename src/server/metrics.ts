import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { BatchReport } from '../engine/index.js';
import type { Scorer } from '../recipes/score/scorer.js';
import type { Admission } from './score/admission.js';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export interface Metrics {
  readonly registry: Registry;
  readonly requests: Counter<'method' | 'route' | 'status'>;
  readonly duration: Histogram<'route'>;
  readonly items: Counter<'outcome'>;
  readonly rejects: Counter<'reason'>;
  readonly predictedWait: Histogram;
  onBatch(model: string, batch: BatchReport): void;
  /** Gauges are read when Prometheus asks. */
  watch(loaded: ReadonlyMap<string, Scorer>, admission: Admission, memoryUsed: () => number): void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const stage = new Histogram({
    name: 'qalign_stage_seconds',
    help: 'time of an item in the queue, of a batch on the way and at the worker',
    labelNames: ['model', 'stage'],
    buckets: SECONDS,
    registers,
  });
  const fill = new Histogram({
    name: 'qalign_batch_fill_ratio',
    help: 'frames of a batch over the most there could be',
    labelNames: ['model'],
    buckets: [0.0625, 0.125, 0.25, 0.5, 0.75, 1],
    registers,
  });
  const frames = new Counter({
    name: 'qalign_frames_total',
    help: 'frames scored',
    labelNames: ['model', 'device'],
    registers,
  });
  return {
    registry,
    requests: new Counter({
      name: 'qalign_http_requests_total',
      help: 'answered requests',
      labelNames: ['method', 'route', 'status'],
      registers,
    }),
    duration: new Histogram({
      name: 'qalign_http_request_seconds',
      help: 'from the first byte of a request to the last of its answer',
      labelNames: ['route'],
      buckets: SECONDS,
      registers,
    }),
    items: new Counter({
      name: 'qalign_items_total',
      help: 'items of requests and jobs',
      labelNames: ['outcome'],
      registers,
    }),
    rejects: new Counter({
      name: 'qalign_rejects_total',
      help: 'requests that were refused, by error code',
      labelNames: ['reason'],
      registers,
    }),
    predictedWait: new Histogram({
      name: 'qalign_predicted_wait_seconds',
      help: 'what requests were told to themselves when let in',
      buckets: SECONDS,
      registers,
    }),
    onBatch(model, batch) {
      frames.inc({ model, device: batch.device }, batch.frames);
      fill.observe({ model }, batch.frames / batch.capacity);
      stage.observe({ model, stage: 'compute' }, batch.computeMs / 1000);
      stage.observe({ model, stage: 'service' }, batch.serviceMs / 1000);
      for (const ms of batch.queuedMs) stage.observe({ model, stage: 'queue' }, ms / 1000);
    },
    watch(loaded, admission, memoryUsed) {
      const each = (gauge: Gauge, read: (scorer: Scorer, model: string) => void): void => {
        gauge.reset();
        for (const [model, scorer] of loaded) read(scorer, model);
      };
      const gauge = (
        name: string,
        help: string,
        labelNames: string[],
        read: (gauge: Gauge, scorer: Scorer, model: string) => void,
      ): void => {
        const one: Gauge = new Gauge({
          name,
          help,
          labelNames,
          registers,
          collect: () => each(one, (scorer, model) => read(one, scorer, model)),
        });
      };
      gauge('qalign_queue_frames', 'frames that wait for a worker', ['model', 'lane'], (one, scorer, model) => {
        for (const [lane, count] of Object.entries(scorer.load().engine?.queuedFrames ?? {}))
          one.set({ model, lane }, count);
      });
      gauge('qalign_prepare_waiting', 'pictures that wait to be decoded', ['model', 'lane'], (one, scorer, model) => {
        for (const [lane, count] of Object.entries(scorer.load().preparing?.waiting ?? {}))
          one.set({ model, lane }, count);
      });
      gauge(
        'qalign_prepare_seconds',
        'to decode and prepare a picture, moving average',
        ['model'],
        (one, scorer, model) => one.set({ model }, (scorer.load().preparing?.pictureMs ?? 0) / 1000),
      );
      gauge(
        'qalign_expected_wait_seconds',
        'when a picture that came now would be answered',
        ['model'],
        (one, scorer, model) => one.set({ model }, (admission.predict(scorer) ?? 0) / 1000),
      );
      gauge('qalign_workers_ready', 'workers that take work', ['model'], (one, scorer, model) =>
        one.set({ model }, scorer.load().engine?.workers.filter(({ ready }) => ready).length ?? 0),
      );
      gauge(
        'qalign_worker_restarts',
        'how often workers were started again',
        ['model', 'device'],
        (one, scorer, model) => {
          for (const { device, restarts } of scorer.load().engine?.workers ?? []) one.inc({ model, device }, restarts);
        },
      );
      gauge('qalign_worker_resident_bytes', 'memory of the workers', ['model', 'device'], (one, scorer, model) => {
        for (const { device, rss_bytes } of scorer.load().engine?.workers ?? []) one.inc({ model, device }, rss_bytes);
      });
      const memory: Gauge = new Gauge({
        name: 'qalign_body_bytes',
        help: 'bodies held in memory',
        registers,
        collect: () => memory.set(memoryUsed()),
      });
    },
  };
}

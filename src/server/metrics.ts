import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { BatchReport } from '../engine/index.js';
import type { DecodeBudget } from '../media/budget/decode-budget.js';
import type { DoneEvent, FailedEvent } from '../recipes/shards/events.js';
import type { Scorer } from '../recipes/score/scorer.js';
import { LOAD_GAUGES, type LoadGauge } from './load-gauges.js';
import type { Admission } from './score/admission.js';
import type { DeliveryOutcome } from './webhooks/sender.js';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Values of the service as a whole. */
export interface ServiceNumbers {
  readonly memoryUsed: () => number;
  readonly decodeBudget: Pick<DecodeBudget, 'used' | 'most' | 'waiting'>;
  readonly webhooksWaiting: () => number;
}

export interface Metrics {
  readonly registry: Registry;
  readonly requests: Counter<'method' | 'route' | 'status'>;
  readonly duration: Histogram<'route'>;
  readonly rejects: Counter<'reason'>;
  readonly predictedWait: Histogram;
  /** Counts an answered item of a request or job. */
  readonly countItem: (state: { readonly failed: boolean; readonly warned: boolean }) => void;
  /** Counts an ended shard of a job, and the items of a new result. */
  readonly countShard: (event: DoneEvent | FailedEvent) => void;
  readonly countWebhook: (outcome: DeliveryOutcome) => void;
  onBatch(model: string, batch: BatchReport): void;
  /** Gauges are read at each scrape. */
  watch(loaded: ReadonlyMap<string, Scorer>, admission: Admission, numbers: ServiceNumbers): void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const onBatch = createBatchMetrics(registry);
  return {
    registry,
    ...createRequestMetrics(registry),
    countWebhook: createWebhookCounter(registry),
    onBatch,
    watch(loaded, admission, { memoryUsed, decodeBudget, webhooksWaiting }) {
      for (const gauge of LOAD_GAUGES) watchLoad(registry, gauge, loaded, admission);
      watchNumber(registry, 'qalign_body_bytes', 'bodies held in memory', memoryUsed);
      watchDecoding(registry, decodeBudget);
      watchNumber(registry, 'qalign_webhooks_waiting', 'undelivered webhooks', webhooksWaiting);
    },
  };
}

/** Values of each batch that a worker has answered. */
function createBatchMetrics(registry: Registry): Metrics['onBatch'] {
  const registers = [registry];
  const stage = new Histogram({
    name: 'qalign_stage_seconds',
    help: 'time of an item in the queue, of a batch in transit, and at the worker',
    labelNames: ['model', 'stage'],
    buckets: SECONDS,
    registers,
  });
  const fill = new Histogram({
    name: 'qalign_batch_fill_ratio',
    help: 'frames of a batch as a share of the largest batch',
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
  return (model, batch) => {
    frames.inc({ model, device: batch.device }, batch.frames);
    if (batch.frames > 0) fill.observe({ model }, batch.frames / batch.capacity);
    stage.observe({ model, stage: 'compute' }, batch.computeMs / 1000);
    stage.observe({ model, stage: 'service' }, batch.serviceMs / 1000);
    for (const ms of batch.queuedMs) stage.observe({ model, stage: 'queue' }, ms / 1000);
  };
}

function createRequestMetrics(
  registry: Registry,
): Pick<Metrics, 'requests' | 'duration' | 'countItem' | 'countShard' | 'rejects' | 'predictedWait'> {
  const registers = [registry];
  return {
    requests: new Counter({
      name: 'qalign_http_requests_total',
      help: 'answered requests',
      labelNames: ['method', 'route', 'status'],
      registers,
    }),
    duration: new Histogram({
      name: 'qalign_http_request_seconds',
      help: 'from the first byte of a request to the last byte of its answer',
      labelNames: ['route'],
      buckets: SECONDS,
      registers,
    }),
    ...createItemCounters(registry),
    rejects: new Counter({
      name: 'qalign_rejects_total',
      help: 'refused requests by error code',
      labelNames: ['reason'],
      registers,
    }),
    predictedWait: new Histogram({
      name: 'qalign_predicted_wait_seconds',
      help: 'predicted wait of admitted requests',
      buckets: SECONDS,
      registers,
    }),
  };
}

function watchNumber(registry: Registry, name: string, help: string, read: () => number): void {
  const gauge: Gauge = new Gauge({ name, help, registers: [registry], collect: () => gauge.set(read()) });
}

function watchDecoding(registry: Registry, budget: ServiceNumbers['decodeBudget']): void {
  const numbers = [
    ['qalign_decode_bytes', 'memory that is granted to decode pictures', () => budget.used],
    ['qalign_decode_limit_bytes', 'the most that can be granted (limits.decode_mb)', () => budget.most],
    ['qalign_decode_waiting', 'models whose next picture waits for memory', () => budget.waiting],
  ] as const;
  for (const [name, help, read] of numbers) watchNumber(registry, name, help, read);
}

function createWebhookCounter(registry: Registry): Metrics['countWebhook'] {
  const webhooks = new Counter({
    name: 'qalign_webhooks_total',
    help: 'attempts to deliver a webhook',
    labelNames: ['outcome'],
    registers: [registry],
  });
  return (outcome) => webhooks.inc({ outcome });
}

function createItemCounters(registry: Registry): Pick<Metrics, 'countItem' | 'countShard'> {
  const registers = [registry];
  const items = new Counter({
    name: 'qalign_items_total',
    help: 'items of requests and jobs',
    labelNames: ['outcome'],
    registers,
  });
  const warned = new Counter({
    name: 'qalign_items_warned_total',
    help: 'items of requests and jobs scored with warnings',
    registers,
  });
  const shards = new Counter({
    name: 'qalign_shards_total',
    help: 'shards of jobs; present: an earlier run had written the result',
    labelNames: ['outcome'],
    registers,
  });
  return {
    countItem(state) {
      items.inc({ outcome: state.failed ? 'failed' : 'scored' });
      if (state.warned) warned.inc();
    },
    countShard(event) {
      shards.inc({ outcome: event.event === 'failed' ? 'failed' : event.commit });
      if (event.event === 'failed' || event.commit === 'present') return;
      items.inc({ outcome: 'failed' }, event.failed);
      items.inc({ outcome: 'scored' }, event.items - event.failed);
    },
  };
}

function watchLoad(
  registry: Registry,
  { name, help, labelNames, read }: LoadGauge,
  loaded: ReadonlyMap<string, Scorer>,
  admission: Admission,
): void {
  const gauge: Gauge = new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      gauge.reset();
      for (const [model, scorer] of loaded)
        // Values of several workers on one device are summed.
        for (const { value, labels } of read(scorer, admission)) gauge.inc({ model, ...labels }, value);
    },
  });
}

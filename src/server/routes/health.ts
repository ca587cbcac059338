import Type from 'typebox';
import { packageVersion } from '../../base/package-root.js';
import type { Metrics } from '../metrics.js';
import { defineRoute } from '../route.js';
import type { ModelPool } from '../score/model-pool.js';
import { Health, Readiness } from '../../api/models.js';
import type { ServeConfig } from '../../config/serve.js';

export interface HealthRouteServices {
  readonly config: Pick<ServeConfig, 'request_ms'>;
  readonly models: Pick<ModelPool, 'loaded'>;
  readonly metrics: Pick<Metrics, 'registry'>;
  readonly ending: AbortSignal;
}

const startedAt = performance.now();

export const healthz = defineRoute({
  method: 'get',
  path: '/healthz',
  scope: 'open',
  tag: 'service',
  summary: 'liveness: the process answers',
  answers: { 200: { description: 'the process is alive', schema: Health } },
  examples: [{ name: 'alive', status: 200 }],
  async handle(call) {
    call.answer(200, { status: 'ok', version: packageVersion, uptime_s: (performance.now() - startedAt) / 1000 });
  },
});

export const readyz = defineRoute({
  method: 'get',
  path: '/readyz',
  scope: 'open',
  tag: 'service',
  summary: 'readiness: a worker is ready',
  answers: {
    200: { description: 'the service answers requests', schema: Readiness },
    503: { description: 'the service is loading or ending, or no worker answers in time', schema: Readiness },
  },
  examples: [{ name: 'ready', status: 200 }],
  async handle(call, { config, models, ending }: HealthRouteServices) {
    const devices = [...models.loaded].flatMap(([model, scorer]) =>
      (scorer.load().engine?.workers ?? []).map(({ device, state, oldest_batch_ms, restarts, device_memory }) => ({
        model,
        device,
        state: state === 'ready' && oldest_batch_ms > config.request_ms ? ('late' as const) : state,
        restarts,
        ...(device_memory === undefined ? {} : { device_memory }),
      })),
    );
    const ready = devices.filter(({ state }) => state === 'ready').length;
    const isReady = ready > 0 && !ending.aborted;
    const loaded = [...models.loaded.keys()];
    call.answer(isReady ? 200 : 503, { ready: isReady, workers_ready: ready, models: loaded, devices });
  },
});

export const metrics = defineRoute({
  method: 'get',
  path: '/metrics',
  scope: 'any',
  tag: 'service',
  summary: 'measurements for Prometheus',
  answers: { 200: { description: 'text exposition', types: ['text/plain'], schema: Type.String() } },
  examples: [{ name: 'scrape', status: 200 }],
  async handle(call, { metrics: { registry } }: HealthRouteServices) {
    call.res.type(registry.contentType).send(await registry.metrics());
  },
});

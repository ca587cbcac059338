import { expect, it } from 'vitest';
import type { DeviceState } from '../../../src/engine/index.js';
import type { Scorer } from '../../../src/recipes/score/scorer.js';
import { readyz, type HealthRouteServices } from '../../../src/server/routes/health.js';

type Worker = readonly [state: DeviceState, oldestBatchMs?: number];

async function ask(workers: readonly Worker[], ending = false): Promise<[number, unknown]> {
  const engine = {
    workers: workers.map(([state, oldest_batch_ms = 0], index) => ({
      ...{ device: `cuda:${index}`, state, oldest_batch_ms, restarts: index },
    })),
  };
  const services = {
    config: { request_ms: 30_000 },
    models: { loaded: new Map([['m', { load: () => ({ engine }) } as unknown as Scorer]]) },
    ending: ending ? AbortSignal.abort() : new AbortController().signal,
  } as unknown as HealthRouteServices;
  let answer: [number, unknown] | undefined;
  await readyz.handle({ answer: (status: number, body: unknown) => void (answer = [status, body]) } as never, services);
  return answer as [number, unknown];
}

it('is ready while one device responds in time, and lists the state of each', async () => {
  expect(await ask([['ready', 29_000], ['set_aside'], ['silent'], ['starting'], ['ready', 31_000]])).toEqual([
    200,
    {
      ready: true,
      workers_ready: 1,
      models: ['m'],
      devices: ['ready', 'set_aside', 'silent', 'starting', 'late'].map((state, index) => ({
        ...{ model: 'm', device: `cuda:${index}`, state, restarts: index },
      })),
    },
  ]);
});

it.each<[string, Worker[], boolean?]>([
  ['a batch takes longer than a request may', [['ready', 31_000]]],
  ['the worker does not answer', [['silent']]],
  ['the device is set aside', [['set_aside']]],
  ['there is none', []],
  ['the service ends', [['ready']], true],
])('is not ready when %s', async (_what, workers, ending) => {
  expect(await ask(workers, ending)).toMatchObject([503, { ready: false }]);
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

let service: TestService;
beforeAll(async () => {
  service = await startService(['jobs.in_flight=4'], withoutPython);
});
afterAll(() => service.close());

const list = Array.from({ length: 4000 }, (_, i) => `{"id":"n${i}","base64":"${EXAMPLE_PICTURE}"}\n`).join('');
const lines = async (path: string): Promise<number> =>
  (await (await fetch(`${service.url}${path}`)).text()).trimEnd().split('\n').length;

// items that were in flight are written after the cancellation is answered
it('gives the results of a cancelled job with the same items in every format', async () => {
  for (let i = 0; i < 10; i++) {
    const { id } = await service.client.jobs.create(list);
    await expect.poll(() => service.services.jobs.current(id)?.done, { interval: 5 }).toBeGreaterThan(0);
    await service.client.jobs.cancel(id);
    const csv = (await lines(`/v1/jobs/${id}/results?format=csv`)) - 1;
    await expect.poll(() => service.services.jobs.isActive(id)).toBe(false);
    expect([csv, (await lines(`/v1/jobs/${id}/results?format=csv`)) - 1]).toEqual(
      Array(2).fill(await lines(`/v1/jobs/${id}/results`)),
    );
  }
});

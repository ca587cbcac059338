import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { sampleMedia } from '../../src/base/package-root.js';
import { startService, withoutPython } from '../server/start-service.js';
import { randomOf } from './ledger.js';
import { ODD_REQUESTS } from './odd-requests.js';
import { sendOddRequests, wrongAnswers } from './soak-run.js';

it('200 odd requests get no error of the service, and hold no memory afterwards', async () => {
  const service = await startService([`root=${sampleMedia}`, 'rate_per_minute=0'], withoutPython);
  const picture = 'blurred.jpg';
  const bytes = await readFile(join(sampleMedia, picture));
  const target = { port: Number(new URL(service.url).port), picture, bytes, random: randomOf(7) };
  let looked = 0;
  const look = async (): Promise<void> => {
    looked++;
    await expect.poll(() => service.services.memory.used).toBe(0);
  };
  try {
    const answers = await sendOddRequests(target, { requests: 200, every: 50, look });
    expect(wrongAnswers(answers)).toEqual([]);
    expect(Object.keys(answers).sort()).toEqual(Object.keys(ODD_REQUESTS).sort());
    expect(Object.values(answers).reduce((sum, row) => sum + Object.values(row).reduce((a, b) => a + b), 0)).toBe(200);
    expect(looked).toBe(4);
    // the requests are refused for what is odd, not for who sends them
    expect(answers['valid']).toHaveProperty('200');
    expect(Object.keys(answers['job'] ?? {}).filter((status) => status !== '200' && status !== '404')).toEqual([]);
  } finally {
    await service.close();
  }
}, 60_000);

it('tells errors of the service and silence from refusals', () => {
  expect(wrongAnswers({ a: { 200: 1, 429: 2, 504: 1, closed: 1 }, b: { 500: 3, silent: 1 } })).toEqual([
    'b: 3 times 500',
    'b: 1 times silent',
  ]);
});

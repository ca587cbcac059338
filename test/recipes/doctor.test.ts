import { describe, expect, it } from 'vitest';
import { verdict } from '../../src/cli/doctor.js';
import { environmentToCome, sizeCost } from '../../src/recipes/doctor.js';

describe('the verdict of doctor', () => {
  it.each([
    [{ usable: true, clips: true, ready: true }, /^Pictures and clips can be scored\.$/],
    [{ usable: true, clips: false, ready: true }, /^Pictures can be scored, clips cannot\.$/],
    [{ usable: true, clips: true, ready: false }, /the first score installs/],
    [{ usable: false, clips: false, ready: false }, /^Nothing can be scored yet/],
  ])('of %j', (report, sentence) => expect(verdict(report)).toMatch(sentence));
});

describe('an environment that does not exist yet', () => {
  const at = { folder: '/c', writable: true, free: 1e12 };
  it.each([
    ['can be made', at, 'warning', /The first score creates it in \/c\/venv/],
    ['cannot be written', { ...at, writable: false }, 'missing', /\/c\/venv cannot be created; set QALIGN_CACHE/],
    ['has no room', { ...at, free: 1e9 }, 'missing', /needs 2\.0 GB .* 1\.0 GB are free/],
  ])('%s', (_what, cache, status, cost) => {
    const check = environmentToCome('/c/venv', cache);
    expect(check.status).toBe(status);
    expect(check.cost).toMatch(cost);
  });
});

describe('devices and models', () => {
  it.each([
    [[80e9], 1e9, /^$/],
    [[8e9, 24e9], 1e9, /^$/],
    [[8e9], 64e9, /need a GPU with 18\.4 GB, and the largest here has 8\.0 GB/],
    [[], 64e9, /more than a minute/],
    [[], 16e9, /or 34\.8 GB of memory, and this machine has 16\.0 GB/],
  ])('of %j and %d bytes', (gpus, memory, sentence) => expect(sizeCost(gpus, memory)).toMatch(sentence));
});

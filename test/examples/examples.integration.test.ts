import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { main as attentionMap } from './attention-map.js';
import { main as metricsAgainstSciPy } from './metrics-against-scipy.js';
import { main as promptSweep } from './prompt-sweep.js';

const picture = join(packageRoot, 'test/fixtures/pictures/pristine.jpg');

describe('the examples', () => {
  it('metrics: equal to SciPy', async () => {
    for (const { ours, scipy } of Object.values(await metricsAgainstSciPy()))
      expect(Math.abs(ours - scipy)).toBeLessThan(1e-12);
  }, 300_000);

  it('attention map: weights with the sum one, as a picture', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'qalign-map-'));
    try {
      const { grid, total, hidden } = await attentionMap(picture, join(folder, 'map.png'), 'tiny-untrained');
      expect(total).toBeCloseTo(1, 5);
      expect(hidden).toHaveLength(3);
      expect((await sharp(join(folder, 'map.png')).metadata()).width).toBe(32 * grid);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 300_000);

  it('prompt sweep: a score for each prompt, not all equal', async () => {
    const rows = await promptSweep(picture, 'tiny-untrained');
    expect(rows.map(({ prompt }) => prompt)).toContain('default');
    expect(new Set(rows.map(({ score }) => score)).size).toBeGreaterThan(1);
  }, 300_000);
});

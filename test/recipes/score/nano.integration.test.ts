import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { chooseModel } from '../../../src/config/models.js';
import { packageRoot } from '../../../src/base/package-root.js';
import { BASIC_FAMILIES } from '../../../src/media/distort/families.js';
import { benchOrder } from '../../../src/recipes/bench/distortion-order.js';
import type { ScoreResult } from '../../../src/api/result.js';
import { createScorer } from '../../../src/recipes/score/create-scorer.js';
import type { Scorer } from '../../../src/recipes/score/scorer.js';
import { isFailure } from '../../../src/api/result.js';

/** The shipped weights on the pictures of the repository; no model is named anywhere. */
const PICTURES = join(packageRoot, 'test', 'fixtures', 'pictures');
const PINNED = { 'pristine.jpg': 4.013, 'crushed.jpg': 2.5804, 'noisy.webp': 2.1643, 'blurred.jpg': 1.604 };
/** The scores of the first weights, which were pinned under the name nano before. */
const FIRST = { 'pristine.jpg': 3.9398, 'crushed.jpg': 2.9839, 'noisy.webp': 2.9646, 'blurred.jpg': 2.0484 };
let scorer: Scorer;
beforeAll(async () => {
  scorer = await createScorer({ device: 'cpu' });
}, 600_000);
afterAll(() => scorer.close());

async function score(input: string | Uint8Array): Promise<ScoreResult> {
  const [outcome] = await scorer.score(input);
  if (outcome === undefined || isFailure(outcome)) throw new Error(JSON.stringify(outcome));
  return outcome;
}

it('is used by default, and reports unsupported tasks', async () => {
  expect(await chooseModel()).toMatchObject({ id: 'nano', untrained: false, tasks: { quality: ['image', 'video'] } });
  await expect(scorer.score(join(PICTURES, 'pristine.jpg'), { tasks: ['aesthetics'] })).rejects.toMatchObject({
    code: 'TASK_UNSUPPORTED',
    message: expect.stringContaining('one-align') as string,
  });
});

it('returns the recorded scores, alone and in a batch, with a high level mass', async () => {
  const files = Object.keys(PINNED).map((name) => join(PICTURES, name));
  const alone: ScoreResult[] = [];
  for (const file of files) alone.push(await score(file));
  const together = await Promise.all(files.map((file) => score(file)));
  for (const [i, expected] of Object.values(PINNED).entries()) {
    expect(Math.abs(alone[i]!.score - expected)).toBeLessThan(0.01);
    expect(Math.abs(together[i]!.score - alone[i]!.score)).toBeLessThan(1e-5);
    expect(alone[i]!.level_mass).toBeGreaterThan(0.95);
  }
}, 120_000);

it('has its first weights as nano-1, with another score version', async () => {
  await using first = await createScorer({ model: 'nano-1', device: 'cpu' });
  for (const [name, expected] of Object.entries(FIRST)) {
    const outcome = await first.score(join(PICTURES, name), { task: 'quality' });
    if (isFailure(outcome)) throw new Error(outcome.error.message);
    expect(Math.abs(outcome.score - expected)).toBeLessThan(0.01);
  }
  expect(first.scoreVersion).not.toBe(scorer.scoreVersion);
  expect(first.model.weights_sha256).toBe('cfd376591da1fbded21c476ae0e156265b531b30be9066173faaf48da55e6e92');
}, 120_000);

it('scores a picture lower for stronger distortions of every kind', async () => {
  const { ordered, pairs, rows } = await benchOrder({
    scorer: { device: 'cpu' },
    files: [join(PICTURES, 'pristine.jpg')],
    families: BASIC_FAMILIES,
  });
  expect(pairs).toBe(24);
  expect(ordered).toBeGreaterThanOrEqual(22); // 23 when these weights were made
  for (const { means } of rows) expect(means.at(-1)!).toBeLessThan(means[0]! - 0.3);
}, 120_000);

import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isFailure, type ScoreResult } from '../../../../src/api/result.js';
import { packageRoot } from '../../../../src/base/package-root.js';
import { writeMapPicture } from '../../../../src/recipes/score/map/map-picture.js';
import { createScorer } from '../../../../src/recipes/score/create-scorer.js';
import type { Scorer } from '../../../../src/recipes/score/scorer.js';
import { lowestWindow } from '../../../../src/scoring/quality-map.js';

const PRISTINE = join(packageRoot, 'test', 'fixtures', 'pictures', 'pristine.jpg');
/** Undistorted photographs that nano never saw; only beside a checkout with shared data. */
const KODAK = join(packageRoot, '..', '..', 'shared', 'media', 'kodak');
const NEAR = join(packageRoot, '..', 'shared', 'media', 'kodak');
const SIDE = 512;
let scorer: Scorer;
beforeAll(async () => {
  scorer = await createScorer({ device: 'cpu' });
}, 600_000);
afterAll(() => scorer.close());

async function mapped(picture: Uint8Array): Promise<Required<Pick<ScoreResult, 'map'>> & ScoreResult> {
  const outcome = await scorer.score(picture, { task: 'quality', map: { max: 9 } });
  if (isFailure(outcome) || outcome.map === undefined) throw new Error(JSON.stringify(outcome));
  return { ...outcome, map: outcome.map };
}

type Damage = (window: Sharp) => Promise<Buffer>;
const DAMAGES: Readonly<Record<string, Damage>> = {
  blur: (window) => window.blur(3).png().toBuffer(),
  jpeg: async (window) =>
    sharp(await window.jpeg({ quality: 8 }).toBuffer())
      .png()
      .toBuffer(),
  noise: async (window) => {
    const { data, info } = await window.removeAlpha().raw().toBuffer({ resolveWithObject: true });
    let seed = 5;
    const random = (): number => (seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const noisy = data.map((value: number) => Math.max(0, Math.min(255, Math.round(value + 25 * normal()))));
    const { width, height } = info;
    return sharp(noisy, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
  },
};

async function damaged(picture: Buffer, [left, top]: readonly [number, number], damage: Damage): Promise<Buffer> {
  const window = sharp(picture).extract({ left, top, width: SIDE, height: SIDE });
  return sharp(picture)
    .composite([{ input: await damage(window), left, top }])
    .png()
    .toBuffer();
}

function tiled(tiles: readonly Buffer[], columns: number, width: number, height: number): Promise<Buffer> {
  const size = { width: columns * width, height: (tiles.length / columns) * height };
  return sharp({ create: { ...size, channels: 3, background: '#000' } })
    .composite(tiles.map((input, i) => ({ input, left: width * (i % columns), top: height * Math.floor(i / columns) })))
    .png()
    .toBuffer();
}

/** The fraction of maps whose lowest window is the damaged one. Chance is 1/9. */
async function found(cases: readonly { picture: Buffer; window: number; damage: Damage }[]): Promise<number> {
  let hits = 0;
  for (const { picture, window, damage } of cases) {
    const { width = 0, height = 0 } = await sharp(picture).metadata();
    const [x, y] = [(width - SIDE) / 2, (height - SIDE) / 2];
    const at = [Math.round(x * (window % 3)), Math.round(y * Math.floor(window / 3))] as const;
    const { map } = await mapped(await damaged(picture, at, damage));
    expect([map.xs.length, map.ys.length, map.window]).toEqual([3, 3, SIDE]);
    const low = lowestWindow(map);
    if (low.x === at[0] && low.y === at[1]) hits += 1;
  }
  return hits / cases.length;
}

describe('the lowest window of a map is the damaged one', () => {
  it('in mirrored tiles of the pristine picture of the repository', async () => {
    const tiles = await Promise.all(
      [0, 1, 2, 3, 4, 5].map((i) =>
        sharp(PRISTINE)
          .flop(i % 2 === 1)
          .flip(i === 2 || i === 3)
          .png()
          .toBuffer(),
      ),
    );
    const picture = await tiled(tiles, 2, 640, 448);
    const damages = Object.values(DAMAGES);
    const cases = [0, 4, 8, 2].map((window, i) => ({ picture, window, damage: damages[i % 3]! }));
    expect(await found(cases)).toBeGreaterThanOrEqual(0.75);
  }, 300_000);

  const folder = [NEAR, KODAK].find((path) => existsSync(path));
  it.skipIf(folder === undefined)(
    'in mosaics of photographs that nano never saw (needs ../shared)',
    async () => {
      const names = (await readdir(folder!)).filter((name) => name.endsWith('.png')).sort();
      const tile = async (name: string): Promise<Buffer> =>
        sharp(await readFile(join(folder!, name)))
          .extract({ left: 0, top: 0, width: SIDE, height: SIDE })
          .png()
          .toBuffer();
      const cases = await Promise.all(
        Object.values(DAMAGES).flatMap((damage, i) =>
          [0, 1].map(async (j) => {
            const own = names.slice(4 * (2 * i + j), 4 * (2 * i + j) + 4);
            const picture = await tiled(await Promise.all(own.map(tile)), 2, SIDE, SIDE);
            return { picture, window: (4 * i + 5 * j) % 9, damage };
          }),
        ),
      );
      expect(await found(cases)).toBeGreaterThanOrEqual(0.75);
    },
    300_000,
  );
});

it('has almost equal values in a flat picture, leaves the score unchanged, and is drawn under a safe name', async () => {
  const picture = await sharp({ create: { width: 1024, height: 1024, channels: 3, background: '#5a7' } })
    .png()
    .toBuffer();
  const result = await mapped(picture);
  expect(Math.max(...result.map.values) - Math.min(...result.map.values)).toBeLessThanOrEqual(0.2);
  const plain = (await scorer.score(picture, { task: 'quality' })) as ScoreResult;
  expect(plain.logits).toEqual(result.logits);
  const folder = await mkdtemp(join(tmpdir(), 'qalign-map-'));
  const named = { ...result, input: '../a b/../ü?.png' };
  const path = await writeMapPicture(folder, named, picture);
  expect(path).toMatch(/\/picture-[0-9a-f]{12}-quality\.png$/);
  expect(await writeMapPicture(folder, { ...named, input: '../ab/../ü?.png' }, picture)).not.toBe(path);
  expect((await sharp(path).metadata()).width).toBe(1024);
  await rm(folder, { recursive: true });
}, 300_000);

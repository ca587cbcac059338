import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { QalignError } from '../../src/base/errors.js';
import { prepareImage } from '../../src/media/image.js';

interface Case {
  file: string;
  target: number;
  sha256: string;
  exact: boolean;
  max_abs_diff_prepared?: number;
  mean_abs_diff_prepared?: number;
}
interface Bad {
  file: string;
  why: string;
  expect: string;
  sha256?: string;
}

const fixtures = fileURLToPath(new URL('../fixtures/golden/pixels/', import.meta.url));
const shared = fileURLToPath(new URL('../../../shared/golden/pixels/', import.meta.url));
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const read = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;

function defineCases(root: string): void {
  const { cases } = read<{ cases: Case[] }>(`${root}expected.json`);
  it.each(cases.filter((c) => c.exact).map((c) => [c.file, c.target, c] as const))(
    '%s at %i px equals Pillow',
    async (file, target, c) => {
      const picture = await prepareImage(root + file, { size: target });
      expect([picture.width, picture.height, picture.data.length]).toEqual([target, target, target * target * 3]);
      expect(sha256(picture.data)).toBe(c.sha256);
    },
  );

  it.each(cases.filter((c) => !c.exact).map((c) => [c.file, c.target] as const))(
    '%s at %i px decodes',
    async (file, target) => {
      expect((await prepareImage(root + file, { size: target })).data.length).toBe(target * target * 3);
    },
  );

  it.each(read<Bad[]>(`${root}bad.json`).map((b) => [b.file, b.why, b] as const))(
    '%s (%s) ends in its own error',
    async (file, _why, b) => {
      const outcome = await prepareImage(root + file, { size: 448 }).then(
        (picture) => sha256(picture.data),
        (error: unknown) => error,
      );
      if (typeof outcome === 'string') {
        expect(b.expect).toContain('or exactly the picture');
        expect(outcome).toBe(b.sha256);
      } else {
        expect(outcome).toBeInstanceOf(QalignError);
        expect((outcome as QalignError).family).toBe('media');
      }
    },
  );
}

describe('prepareImage against Pillow: the files in this repository', () => {
  defineCases(fixtures);

  it('a rotated AVIF stays within the difference measured between two correct decoders', async () => {
    const { cases } = read<{ cases: Case[] }>(`${fixtures}expected.json`);
    const c = cases.find((one) => one.file.includes('avif_orient6'));
    const expected = await sharp(`${fixtures}avif_orient6_200x140.expected.png`).removeAlpha().raw().toBuffer();
    const { data } = await prepareImage(fixtures + (c?.file ?? ''), { size: 448 });
    const differences = data.map((value, i) => Math.abs(value - (expected[i] ?? 0)));
    expect(
      Math.max(...[...Array(448).keys()].map((y) => Math.max(...differences.subarray(y * 1344, (y + 1) * 1344)))),
    ).toBeLessThanOrEqual(c?.max_abs_diff_prepared ?? 0);
    expect(differences.reduce((a, b) => a + b, 0) / differences.length).toBeLessThanOrEqual(
      (c?.mean_abs_diff_prepared ?? 0) * 1.05,
    );
  });
});

const complete = existsSync(shared);
if (!complete) console.warn('NOT RUN: the complete set of prepared pixels needs ../shared/golden/pixels');
describe.skipIf(!complete)('prepareImage against Pillow: the complete reference set', () => {
  if (complete) defineCases(shared);
});

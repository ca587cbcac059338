import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convertDataset, type ConvertOptions } from '../../../src/recipes/data/convert.js';

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'qalign-ends-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

const OWN = { imageColumn: 'file', scoreColumn: 'mos' };
async function levels(scores: readonly number[], options: Partial<ConvertOptions>): Promise<string[]> {
  const dataset = join(folder, 'own.csv');
  await writeFile(dataset, ['file,mos', ...scores.map((score, i) => `${i}.png,${score}`)].join('\n'));
  const parts: string[] = [];
  await convertDataset({ dataset, own: OWN, out: (part) => void parts.push(part), ...options });
  return parts
    .join('')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { level: string }).level);
}

describe('the ends of a range are inclusive', () => {
  it.each(['paper', 'official'] as const)('of all rows, also if rows outside are dropped (%s)', async (preset) => {
    for (const edge of ['lower', 'upper'] as const) {
      const options = { preset, edge, range: 'minmax', outside: 'drop' } as const;
      expect((await levels([1, 3, 4.2], options)).filter((_, i) => i !== 1)).toEqual(['bad', 'excellent']);
      const turned = { ...options, own: { ...OWN, lowerIsBetter: true } };
      expect((await levels([1, 3, 4.2], turned)).filter((_, i) => i !== 1)).toEqual(['excellent', 'bad']);
    }
  });

  it('of two given numbers', async () => {
    const options = { range: [0, 100], outside: 'drop' } as const;
    expect(await levels([0, 100, 101, -1], options)).toEqual(['bad', 'excellent']);
    const inverted = { range: [0.1, 0.2], outside: 'drop', own: { ...OWN, lowerIsBetter: true } } as const;
    expect(await levels([0.1, 0.2], inverted)).toEqual(['excellent', 'bad']);
    // in the authors' conversion the end is exclusive
    expect(await levels([0, 50, 100], { ...options, preset: 'official' })).toEqual(['bad', 'fair']);
  });

  it.each(['paper', 'official'] as const)('of the scale (%s)', async (preset) => {
    const scale = { preset, own: { ...OWN, scale: [0, 100] as const } };
    expect(await levels([0, 100], scale)).toEqual(['bad', 'excellent']);
  });

  it('also in a description with the scale as range', async () => {
    const text = `name: example
title: Example
version: '1'
kind: image
task: quality
licence: none
citation: none
media: example
scale: [1, 5]
levels: {range: [1, 5], over: all, outside: drop}
questions: image-quality
sources:
  - name: distributor
    files:
      - {file: own.csv, format: table, columns: {name: file, score: mos}}
`;
    const description = join(folder, 'example.yaml');
    await writeFile(description, text);
    expect(await levels([1, 5], { dataset: description, labels: folder })).toEqual(['bad', 'excellent']);
  });
});

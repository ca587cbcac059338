import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { cli } from './terminal/terminal-double.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-unwritable-'));
  await writeFile(join(folder, 'file'), '');
  const record = {
    media: 'a.png',
    kind: 'image',
    task: 'quality',
    dataset: 'd',
    question: '<|image|>?',
    split: 'test',
  };
  const rows = [1, 2, 3].map((mos) => ({
    ...record,
    id: `${mos}`,
    mos,
    level: 'fair',
    answer: 'The quality of the image is fair.',
    source: { file: 'l.csv', row: mos },
  }));
  await writeFile(join(folder, 'r.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await writeFile(
    join(folder, 'train.yaml'),
    `name: x\nmodel: tiny-untrained\ndevice: cpu\ndata: { train: [${join(folder, 'r.jsonl')}] }\nlearning_rates: { default: 1e-3 }\n`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

/** Nobody can create a folder below a file, not even root. */
describe('if a folder cannot be created', () => {
  it.each([
    ['keys create', (place: string) => ['keys', 'create', 'web', '--scope', 'score', '--data-dir', place]],
    ['serve', (place: string) => ['serve', `data_dir=${place}`, 'port=0']],
    ['train', () => ['train', join(folder, 'train.yaml')]],
    [
      'dataset sample',
      (place: string) => [
        'dataset',
        'sample',
        join(folder, 'r.jsonl'),
        '--count',
        '1',
        '--out',
        join(place, 'o.jsonl'),
      ],
    ],
    [
      'dataset split',
      (place: string) => ['dataset', 'split', join(folder, 'r.jsonl'), '--parts', 'a=rest', '--out', place],
    ],
    ['workers keys', (place: string) => ['workers', 'keys', place]],
  ])('%s reports it in one sentence', async (_name, line) => {
    const place = join(folder, 'file', 'below');
    vi.stubEnv('QALIGN_RUNS', join(place, 'runs'));
    const { code, said } = await cli(...line(place));
    expect(code).toBe(1);
    expect(said.at(-1)).toMatch(
      /^qalign: [^\n]+ (name|set|data_dir)[^\n]+\[OUTPUT_UNWRITABLE\]$|^qalign: [^\n]+\[OUTPUT_UNWRITABLE\]$/,
    );
    expect(said.join('')).not.toContain('bug');
  });
});

import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../../src/base/package-root.js';
import { LEVELS } from '../../../src/scoring/levels.js';

const PICTURES = Array.from({ length: 10 }, (_, i) =>
  join(packageRoot, 'test/fixtures/golden/tiny_a/inputs', `0${i}.png`),
);

/**
 * A data set of `n` records over ten pictures of the golden values, with invented MOS, for tests that ignore
 * quality. Writes records.jsonl and media/ into the folder. Returns the record file.
 */
export async function makeRecords(
  folder: string,
  n: number,
  change: (record: Record<string, unknown>, i: number) => Record<string, unknown> = (record) => record,
): Promise<string> {
  await mkdir(join(folder, 'media'), { recursive: true });
  const lines: string[] = [];
  for (let i = 0; i < n; i++) {
    const media = `media/${i}.png`;
    await copyFile(PICTURES[i % PICTURES.length]!, join(folder, media));
    const mos = 20 + ((i * 37) % 61) + (i % 10);
    const record = {
      id: `${i}.png`,
      media,
      kind: 'image',
      task: 'quality',
      dataset: 'made-up',
      mos,
      level: LEVELS[4 - Math.min(4, Math.floor((mos - 20) / 14))],
      question: '<|image|>How is it?',
      answer: 'Fine.',
      split: i % 3 === 0 ? 'validation' : 'test',
      group: `source-${i % 20}`,
      source: { file: 'labels.csv', row: i + 2 },
    };
    lines.push(JSON.stringify(change(record, i)));
  }
  const file = join(folder, 'records.jsonl');
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

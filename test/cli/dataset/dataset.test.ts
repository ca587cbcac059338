import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from '../terminal/terminal-double.js';

const CSV = fileURLToPath(new URL('../../fixtures/datasets/formats/ratings.csv', import.meta.url));
const OWN = ['--image-column', 'file', '--score-column', 'mos', '--range', '1,5'];
let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-cli-dataset-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('qalign dataset', () => {
  it('lists, converts, splits, samples, checks and reports', async () => {
    const list = await cli('dataset', 'list', '--json');
    expect((JSON.parse(list.out) as { name: string }[]).map(({ name }) => name)).toContain('koniq10k');
    expect((await cli('dataset', 'list', '--labels', folder)).out).toMatch(/^koniq10k .*not found/m);

    const piped = await cli('dataset', 'convert', CSV, ...OWN, '--std-column', 'std');
    expect([piped.code, piped.said.length]).toEqual([0, 1]);
    expect(piped.said[0]).toMatch(/pictures and clips were not checked; add --media DIR/);
    expect(
      piped.out
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { level: string }).level),
    ).toEqual(['bad', 'poor', 'good', 'good', 'excellent', 'excellent']);

    const converted = await cli('dataset', 'convert', CSV, ...OWN, '--out', at('all.jsonl'), '--json');
    expect(JSON.parse(converted.out)).toMatchObject({
      n: 6,
      soft_labels: 'none',
      outputs: [{ path: at('all.jsonl'), records: 6 }],
    });
    expect(
      (await cli('dataset', 'split', at('all.jsonl'), '--parts', 'train=4,test=rest', '--out', at('s'))).out,
    ).toMatch(/train\.jsonl {2}4 records[^]*test\.jsonl {2}2 records/);
    expect(
      (
        await cli(
          'dataset',
          'sample',
          at('all.jsonl'),
          '--fraction',
          '0.5',
          '--stratify',
          'level',
          '--out',
          at('half.jsonl'),
          '--json',
        )
      ).out,
    ).toContain('"taken": 3');

    const clean = await cli(
      'dataset',
      'check',
      at('s/train.jsonl'),
      at('s/test.jsonl'),
      '--only',
      'reference,base_name',
    );
    expect([clean.code, clean.out]).toEqual([0, expect.stringContaining('no leaks found')]);
    const unseen = await cli('dataset', 'check', at('s/train.jsonl'), at('s/test.jsonl'));
    expect([unseen.code, unseen.said]).toEqual([1, [expect.stringMatching(/6 files could not be compared/)]]);

    const report = await cli('dataset', 'report', CSV, ...OWN, '--out', at('r.html'), '--json');
    expect(JSON.parse(report.out)).toMatchObject({ n: 6, media: null });
    expect(await readFile(at('r.html'), 'utf8')).toContain('<svg');
  });

  it('writes what the published training code reads', async () => {
    const { out } = await cli(
      'dataset',
      'convert',
      CSV,
      ...OWN,
      '--format',
      'llava',
      '--split-column',
      'split',
      '--split',
      'train',
    );
    const rows = JSON.parse(out) as {
      id: string;
      image: string;
      conversations: { from: string; value: string }[];
      gt_score?: number;
    }[];
    expect(rows).toHaveLength(4);
    expect(rows[0]).toMatchObject({
      id: 'a/1.png->1.0',
      image: 'a/1.png',
      conversations: [{ from: 'human' }, { from: 'gpt', value: 'The quality of the image is bad.' }],
    });
    expect(out).toMatch(/^\[\n {4}\{\n {8}"id": "a\/1\.png->1\.0",\n {8}"image"/);
    expect(out.endsWith('    }\n]')).toBe(true);
  });

  it.each([
    [['dataset', 'convert'], 2, /name one data set or table/],
    [['dataset', 'convert', 'koniq10k'], 2, /KonIQ-10k needs its label files; name their folder with --labels/],
    [['dataset', 'convert', 'nothing'], 1, /"nothing" is not a data set, a file or a folder/],
    [['dataset', 'convert', CSV, ...OWN.slice(0, 4), '--range', '5,1'], 2, /--range 5,1 is not a valid range/],
    [
      ['dataset', 'convert', CSV, '--image-column', 'fil', '--score-column', 'mos'],
      1,
      /ratings\.csv:1: there is no column "fil"/,
    ],
    [['dataset', 'convert', 'koniq10k', '--labels', '/tmp', '--image-column', 'x'], 2, /is only for your own table/],
    [['dataset', 'convert', CSV, ...OWN, 'levels.edge=upper'], 2, /overrides the description of a named data set/],
    [['dataset', 'convert', CSV, ...OWN, '--json'], 2, /--json needs --out/],
    [['dataset', 'convert', CSV, ...OWN, '--seed', '1.5'], 2, /--seed 1\.5/],
    [['dataset', 'convert', CSV, ...OWN, '--out', 'x.json'], 2, /ends in \.jsonl/],
    [['dataset', 'convert', CSV, ...OWN, '--split-list', 'test'], 2, /use SPLIT=FILE/],
    [['dataset', 'split', CSV, '--parts', 'a=0.5', '--out', '/tmp/x'], 1, /the line is not valid JSON/],
    [['dataset', 'split', CSV, '--parts', 'a=x', '--out', '/tmp/x'], 2, /"a=x" is not valid/],
    [['dataset', 'sample', CSV], 2, /ends in \.jsonl with --out/],
    [['dataset', 'check'], 2, /at least one JSONL file/],
    [['dataset', 'check', CSV, '--only', 'looks'], 2, /"looks" must be one of exact, perceptual/],
    [['dataset', 'report', CSV], 2, /--out, or print the JSON/],
    [['dataset', 'merge'], 2, /there is no subcommand "merge"/],
    [['reproduce', 'table2', '--labels', '/nowhere'], 1, /The folder \/nowhere does not exist/],
  ])('%j ends with %i and one sentence', async (argv, code, said) => {
    const heard = await cli(...argv);
    expect(heard.said.join('\n')).toMatch(said);
    expect([heard.code, heard.out]).toEqual([code, '']);
  });

  it('prints Table 2 as text', async () => {
    await writeFile(
      at('preds.txt'),
      Array.from(
        { length: 1500 },
        (_, i) => `${i + 1} mean: 5 | std: 1 | GT: ${(2 + ((i * 37) % 600) / 100).toFixed(3)}\n`,
      ).join(''),
    );
    const { out, code } = await cli('reproduce', 'table2', '--labels', folder);
    expect(code).toBe(0);
    expect(out).toMatch(/dataset +n +srcc +plcc +paper_srcc +paper_plcc/);
    expect(out).toMatch(/ava +\d+ +0\.\d{3} +0\.\d{3} +0\.920 +0\.930/);
  });
});

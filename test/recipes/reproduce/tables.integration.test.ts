import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localDatasets } from '../../../src/recipes/reproduce/local-data.js';
import { reproduce } from '../../../src/recipes/reproduce/index.js';
import { makeRecords } from '../evaluate/records.js';
import { cli } from '../../cli/terminal/terminal-double.js';

let folder = '';
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'qalign-reproduce-'))));
afterAll(() => rm(folder, { recursive: true }));

describe('reproduce', () => {
  it('reports what is missing and how to get it, before it starts', async () => {
    process.env['HF_HUB_CACHE'] = folder;
    try {
      const { code, out } = await cli('reproduce', 'table7', '--plan', '--data', folder);
      expect(code).toBe(1);
      expect(out).toMatch(
        /the checkpoint OneAlign; to get it: qalign models pull q-future\/one-align, or qalign train onealign/,
      );
      expect(out).toMatch(/the test set KonIQ-10k .*qalign dataset convert koniq10k --labels DIR/);
      for (const [table, what, how] of [
        ['table2', '--labels', 'reproduce table2 --labels DIR'],
        ['table8', 'training data', 'qalign train koniq'],
        ['table9', 'q-future/one-align', 'models pull one-align'],
        ['table11', 'mplug-owl2', 'qalign train score-text'],
      ] as const) {
        const plan = await cli('reproduce', table, '--plan', '--data', folder);
        expect([plan.code, plan.out], table).toEqual([
          1,
          expect.stringMatching(new RegExp(`missing: .*${what}[\\s\\S]*to get it: [\\s\\S]*${how}`)) as string,
        ]);
      }
      expect((await cli('reproduce', 'table77')).said.join()).toMatch(/table7/);
    } finally {
      delete process.env['HF_HUB_CACHE'];
    }
  });

  it('table 7 completes on the available pictures, beside the figures of the paper', async () => {
    process.env['HF_HUB_CACHE'] = folder;
    const out = join(folder, 'table7');
    const {
      code,
      out: printed,
      said,
    } = await cli(
      'reproduce',
      'table7',
      '--out',
      out,
      '--data',
      folder,
      '--model',
      'tiny-untrained',
      '--format',
      'json',
    ).finally(() => delete process.env['HF_HUB_CACHE']);
    expect(code, said.join('\n')).toBe(0);
    const { rows, notes } = JSON.parse(printed) as { rows: Record<string, unknown>[]; notes: string[] };
    expect(rows).toContainEqual(
      expect.objectContaining({
        model: 'OneAlign',
        'data set': 'KonIQ-10k',
        'paper srcc': 0.941,
        'paper plcc': 0.95,
        srcc: null,
      }),
    );
    const ours = rows.find((row) => row['data set'] === 'series')!;
    expect([ours['model'], ours['n'], typeof ours['srcc']]).toEqual(['tiny-untrained', 25, 'number']);
    expect(notes.join('\n')).toMatch(/UNTRAINED[\s\S]*not a human rating/);
    const page = await readFile(join(out, 'report.html'), 'utf8');
    expect(page).toContain('data:image/jpeg');
    expect(page).toContain('Not on this machine');
    expect(await readFile(join(out, 'table7.md'), 'utf8')).toContain('| OneAlign | KonIQ-10k |');
  }, 400_000);

  it('continues if pictures of a data set are missing or damaged', async () => {
    process.env['HF_HUB_CACHE'] = folder;
    const data = join(folder, 'gaps');
    const picture = (set: string, i: number): string => join(data, set, 'media', `${i}.png`);
    for (const set of ['koniq', 'spaq', 'kadid']) {
      await mkdir(join(data, set), { recursive: true });
      await rename(await makeRecords(join(data, set), 12), join(data, set, 'test.jsonl'));
    }
    await rm(join(data, 'koniq', 'media'), { recursive: true }); // as after a conversion without --media
    for (const i of [2, 5]) await rm(picture('spaq', i));
    await writeFile(picture('kadid', 3), 'no picture');
    await mkdir(join(data, 'csiq'));
    await writeFile(join(data, 'csiq', 'all.jsonl'), '{"id": 3}\n');
    const line = ['reproduce', 'table4', '--data', data, '--model', 'tiny-untrained', '--format', 'json'];
    try {
      const { missing } = JSON.parse((await cli(...line, '--plan')).out) as { missing: Record<string, string>[] };
      expect(missing).toContainEqual({
        what: expect.stringMatching(
          /^12 of 12 pictures or clips of KonIQ-10k, such as .*koniq\/media\/0\.png$/,
        ) as string,
        how: expect.stringMatching(/convert koniq10k --labels DIR --media DIR --out .*gaps\/koniq\/$/) as string,
      });
      expect(missing.map(({ what }) => what).join('\n')).toMatch(/^2 of 12 pictures or clips of SPAQ/m);
      expect(missing.map(({ what }) => what).join('\n')).toMatch(
        /^valid records of CSIQ: all\.jsonl:1 is not a valid record/m,
      );
      const run = await cli(...line, '--out', join(folder, 'table4'));
      expect(run.code, run.said.join('\n')).toBe(0);
      const { rows, notes } = JSON.parse(run.out) as { rows: Record<string, unknown>[]; notes: string[] };
      const ours = rows.filter(({ model }) => model === 'tiny-untrained');
      expect(ours.map((row) => [row['data set'], row['n']])).toEqual([['SPAQ', '10 of 12']]);
      expect(notes.join('\n')).toMatch(/KonIQ-10k.* are missing: the set is left out/);
      expect(notes.join('\n')).toMatch(/CSIQ is left out: all\.jsonl:1 is not a valid record/);
      expect(notes.join('\n')).toMatch(/kadid is left out, because 1 of its 12 items failed .*--allow-failures 1/);
      const allowed = await cli(...line, '--out', join(folder, 'table4'), '--allow-failures', '1');
      const again = (JSON.parse(allowed.out) as typeof run & { rows: Record<string, unknown>[] }).rows;
      expect(again.filter(({ model }) => model === 'tiny-untrained').map((row) => row['n'])).toEqual([
        '10 of 12',
        '11 of 12',
      ]);
    } finally {
      delete process.env['HF_HUB_CACHE'];
    }
  }, 400_000);

  it('names the missing samples and the searched folder', async () => {
    const empty = await mkdtemp(join(folder, 'empty-'));
    await expect(reproduce('table1', { model: 'tiny-untrained', media: empty })).rejects.toMatchObject({
      message: expect.stringContaining(`No picture in ${empty}`) as string,
    });
  });

  it('table 12 shows how the probabilities of a picture give its score', async () => {
    const { rows, sections } = await reproduce('table12', { model: 'tiny-untrained', out: folder });
    expect(rows).toHaveLength(4);
    for (const row of rows) {
      const p = ['excellent', 'good', 'fair', 'poor', 'bad'].map((level) => Number(row[`p ${level}`]));
      expect(p.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
      expect(p.reduce((sum, value, i) => sum + value * (5 - i), 0)).toBeCloseTo(Number(row['score']), 10);
    }
    expect(sections!.join('')).toContain('Softmax over the five words');
  }, 400_000);

  it('table 8 trains an untrained model here and measures it', async () => {
    const eight = await reproduce('table8', { model: 'tiny-untrained', out: join(folder, 'table8') });
    expect(eight.rows.map((row) => [row['epoch'], row['n']])).toEqual([
      [0, 25],
      [1, 25],
      [2, 25],
      [3, 25],
      [4, 25],
    ]);
    expect(eight.notes.join('\n')).toMatch(/small experiment.*UNTRAINED[\s\S]*small model and small data/);
  }, 500_000);

  it('table 11 of the embedded model: both forms of answers are learned, and all answers are read', async () => {
    const { rows, notes } = await reproduce('table11', { out: join(folder, 'table11-default') });
    expect(rows.map((row) => [row['trained on, read as'], row['n']])).toEqual([
      ['levels, weighted sum (Eq. 4)', 25],
      ['levels, the most probable', 25],
      ['scores, the generated number', 25],
    ]);
    for (const { srcc } of rows) expect(srcc).toBeGreaterThan(0.5);
    expect(notes.join('\n')).toMatch(
      /nano, 48 epochs on 25 pictures[\s\S]*the same pictures[\s\S]*figures are of this small model/,
    );
  }, 500_000);

  it('makes series whose order follows the strength of the distortion', async () => {
    const { sets, notes } = await localDatasets({ data: folder }, folder);
    expect(sets.map(({ name, records }) => [name, records.length])).toEqual([['series', 25]]);
    expect(sets[0]!.records.map(({ mos }) => mos).slice(0, 4)).toEqual([5, 5 - 4 / 3, 5 - 8 / 3, 1]);
    expect(new Set(sets[0]!.records.map(({ group }) => group)).size).toBe(1);
    expect(notes[0]).toContain('not a human rating');
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { evaluate } from '../../../src/recipes/evaluate/evaluate.js';
import { comparePredictions, evaluatePredictions } from '../../../src/recipes/evaluate/from-files.js';
import { calibrate as calibrateScore, type CalibrationCurve } from '../../../src/scoring/calibration.js';
import { fakeScorer } from '../score/fake-scorer.js';
import { cli } from '../../cli/terminal/terminal-double.js';
import type { ScoreResult } from '../../../src/api/result.js';
import { makeRecords } from './records.js';

let folder = '';
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'qalign-evaluate-'))));
afterAll(() => rm(folder, { recursive: true }));

/** Without Python: the score follows the length of the input's name. */
const createScorer = (): ReturnType<typeof fakeScorer> => fakeScorer();
const parts = { createScorer };

async function place(name: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(path, { recursive: true });
  return path;
}

describe('evaluate', () => {
  it('runs in one process at a time per folder: a second one waits, and reuses all predictions', async () => {
    const dir = await place('twice');
    const records = await makeRecords(dir, 30);
    const recipe = { name: 'twice', model: 'tiny-untrained', data: [{ name: 'made-up', records }] };
    const waits: string[] = [];
    const once = () =>
      evaluate(recipe, {
        ...parts,
        out: join(dir, 'out'),
        onEvent: (event) =>
          void (event.event === 'loading' && event.message.startsWith('waiting') && waits.push(event.message)),
      });
    const [first, second] = await Promise.all([once(), once()]);
    expect(second.datasets).toEqual(first.datasets);
    expect((await readFile(join(dir, 'out/predictions/made-up.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(31);
    expect(waits[0]).toBe(`waiting for process ${process.pid}, which runs an evaluation in ${join(dir, 'out')}`);
    expect(await readdir(join(dir, 'out'))).toEqual(['evaluation.json', 'evaluation.md', 'predictions', 'report.html']);
  });

  it('reports that its folder cannot be written', async () => {
    const dir = await place('unwritable');
    const records = await makeRecords(dir, 3);
    await writeFile(join(dir, 'out'), 'a file');
    await expect(
      evaluate(
        { name: 'x', model: 'tiny-untrained', data: [{ name: 'made-up', records }] },
        { ...parts, out: join(dir, 'out') },
      ),
    ).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE', message: expect.stringContaining('--out') as string });
  });

  it('ends in the same table when it is killed at any point', { timeout: 400_000 }, async () => {
    const dir = await mkdtemp(join(folder, 'killed-'));
    const records = await makeRecords(dir, 120);
    const recipe = join(dir, 'recipe.yaml');
    await writeFile(recipe, `name: killed\nmodel: tiny-untrained\ndata: [{name: made-up, records: ${records}}]\n`);
    const start = (out: string): ReturnType<typeof spawn> =>
      spawn(
        process.execPath,
        ['--import', 'tsx', join(packageRoot, 'src/cli/main.ts'), 'evaluate', recipe, '--out', join(dir, out)],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
    const whole = start('whole');
    expect((await once(whole, 'exit'))[0]).toBe(0);
    const size = async (): Promise<number> =>
      stat(join(dir, 'cut/predictions/made-up.jsonl')).then(
        (found) => found.size,
        () => 0,
      );
    const full = (await stat(join(dir, 'whole/predictions/made-up.jsonl'))).size;
    const cuts: number[] = [];
    for (const share of [0.3]) {
      const child = start('cut');
      const ended = once(child, 'exit');
      while ((await size()) < share * full && child.exitCode === null) await sleep(2);
      child.kill('SIGKILL');
      await ended;
      cuts.push(await size());
    }
    expect(cuts[0]).toBeLessThan(full);
    const last = start('cut');
    let said = '';
    last.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    expect((await once(last, 'close'))[0]).toBe(0);
    expect(said).toMatch(/\d+ of 120 predictions of made-up already exist/);
    const predictions = async (out: string): Promise<string[]> =>
      (await readFile(join(dir, out, 'predictions/made-up.jsonl'), 'utf8')).split('\n');
    const [ours, theirs] = [await predictions('cut'), await predictions('whole')];
    const first = ours.findIndex((line, i) => line !== theirs[i]);
    if (first >= 0)
      process.stderr.write(`killed and whole differ from line ${first + 1} on:\n${ours[first]}\n${theirs[first]}\n`);
    // the page contains its time and its command
    const read = async (out: string, file: string): Promise<string> =>
      (await readFile(join(dir, out, file), 'utf8')).replace(/<p class="made">.*<\/p>/, '');
    for (const file of ['evaluation.json', 'evaluation.md', 'report.html', 'predictions/made-up.jsonl'])
      expect(await read('cut', file), file).toBe(await read('whole', file));
    expect(await readFile(join(dir, 'cut/evaluation.md'), 'utf8')).toContain('UNTRAINED');
    const page = await readFile(join(dir, 'cut/report.html'), 'utf8');
    expect(page.match(/<img src="data:image\/jpeg/g)?.length).toBeGreaterThanOrEqual(12);
    const links = [...page.matchAll(/ (?:src|href)="(?!data:|#)([^"]*)"/g)].map(([, link]) => link);
    expect(links).toEqual(['evaluation.json', 'predictions/made-up.jsonl']);
  });

  it('fails for one failed item, and reports n if failures are allowed', async () => {
    const dir = await place('failing');
    const records = await makeRecords(dir, 12, (record, i) =>
      i === 5 ? { ...record, media: 'media/bad.png' } : record,
    );
    await writeFile(join(dir, 'media/bad.png'), 'no picture');
    const recipe = { name: 'failing', model: 'tiny-untrained', data: [{ name: 'made-up', records }] };
    const out = join(dir, 'out');
    await expect(evaluate(recipe, { out, ...parts })).rejects.toMatchObject({
      code: 'EVALUATION_FAILED',
      message: expect.stringMatching(/1 of 12 items.*allow_failures is 0[\s\S]*5\.png: .*damaged/) as string,
    });
    const allowed = await evaluate({ ...recipe, allow_failures: 1 }, { out, ...parts });
    expect(allowed.datasets[0]).toMatchObject({ records: 12, metrics: { n: 11 }, failed: [{ index: 5, id: '5.png' }] });
    expect(await readFile(join(out, 'evaluation.md'), 'utf8')).toContain('| 11 of 12 |');
    const file = join(out, 'predictions/made-up.jsonl');
    await expect(evaluatePredictions(file)).rejects.toMatchObject({
      code: 'EVALUATION_FAILED',
      message: expect.stringContaining('11 of 12') as string,
    });
    expect((await evaluatePredictions(file, { allowFailures: 1 })).metrics).toEqual(allowed.datasets[0]!.metrics);
  });

  it('reports everything that is missing, and how to get it, before it starts', async () => {
    const dir = await place('missing');
    const records = await makeRecords(dir, 4, (record, i) => (i < 2 ? { ...record, media: 'gone.png' } : record));
    const recipe = join(dir, 'r.yaml');
    await writeFile(
      recipe,
      `name: missing\nmodel: q-future/one-align\ndata:\n  - {name: koniq, records: ${dir}/no.jsonl}\n  - {name: lsvq-1080p, records: ${dir}/1080p.jsonl}\n  - {name: part, records: ${dir}/part.jsonl}\n  - {name: made-up, records: ${records}}\n`,
    );
    process.env['HF_HUB_CACHE'] = dir;
    try {
      const { code, out } = await cli('evaluate', recipe, '--plan');
      expect(code).toBe(1);
      expect(out).toMatch(/missing: the model q-future\/one-align; to get it: qalign models pull q-future\/one-align/);
      expect(out).toMatch(/missing: the records of koniq.*qalign dataset convert koniq10k --labels DIR/);
      expect(out).toMatch(/missing: the records of lsvq-1080p.*qalign dataset convert lsvq --labels DIR/);
      expect(out).toMatch(/missing: the records of part.*qalign dataset split/);
      expect(out).toMatch(/missing: 2 of 4 media files of made-up, such as .*gone\.png/);
      const failed = await cli('evaluate', recipe, '--out', join(dir, 'never'));
      expect([failed.code, failed.said.join('\n')]).toEqual([
        1,
        expect.stringMatching(/gone\.png[\s\S]*\[EVALUATION_NOT_READY\]/),
      ]);
      await expect(stat(join(dir, 'never'))).rejects.toThrow();
    } finally {
      delete process.env['HF_HUB_CACHE'];
    }
  });

  it('compares two models only on the same records', async () => {
    const dir = await place('compare');
    const records = await makeRecords(dir, 40);
    const recipe = { name: 'compare', model: 'tiny-untrained', data: [{ name: 'made-up', records }] };
    const first = await evaluate(recipe, { out: join(dir, 'a'), ...parts });
    await evaluate({ ...recipe, rule: 'two_words' }, { out: join(dir, 'b'), ...parts });
    const files = ['a', 'b'].map((name) => join(dir, name, 'predictions/made-up.jsonl')) as [string, string];
    const same = await comparePredictions(...files);
    expect(same).toMatchObject({ n: 40, records: 40, differences: { srcc: { difference: 0, p: 1 } } });
    expect(same.first).toEqual(first.datasets[0]!.metrics);
    const others = await makeRecords(await place('others'), 40, (record) => ({
      ...record,
      mos: Number(record['mos']) + 1,
    }));
    await evaluate({ ...recipe, data: [{ name: 'made-up', records: others }] }, { out: join(dir, 'c'), ...parts });
    await expect(comparePredictions(files[0], join(dir, 'c/predictions/made-up.jsonl'))).rejects.toMatchObject({
      code: 'RESUME_MISMATCH',
    });
  });

  it('fits weights and calibrations only on validation entries', async () => {
    const dir = await place('adjust');
    const records = await makeRecords(dir, 90);
    const lines = (await readFile(records, 'utf8'))
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as { id: string; mos: number });
    // another scorer whose scores are close to the MOS on all items
    await writeFile(
      join(dir, 'other.csv'),
      `id,score\n${lines.map(({ id, mos }, i) => `${id},${mos + (i % 5)}`).join('\n')}\n`,
    );
    const data = [
      { name: 'test', records, split: 'test' },
      { name: 'val', records, split: 'validation', role: 'validation' },
    ] as const;
    const recipe = {
      name: 'adjust',
      model: 'tiny-untrained',
      data,
      ensemble: { with: [{ name: 'other', csv: join(dir, 'other.csv') }], fit_on: 'val' },
      calibration: { method: 'isotonic', fit_on: 'val' },
    } as const;
    const { datasets, ensemble } = await evaluate(recipe, { out: join(dir, 'out'), ...parts });
    expect(datasets.map(({ dataset }) => dataset)).toEqual(['test']);
    expect(ensemble!.fitted_on).toBe('val');
    expect(ensemble!.weights['other']).toBeGreaterThan(0.9);
    expect(datasets[0]!.metrics.srcc).toBeGreaterThan(0.95);
    expect(datasets[0]!.calibration).toMatchObject({ method: 'isotonic', fitted_on: 'val' });
    expect(datasets[0]!.calibration!.ece).toBeLessThan(5);
    expect(JSON.parse(await readFile(join(dir, 'out/calibration.json'), 'utf8'))).toMatchObject({
      format: 'qalign-calibration/1',
      dataset: 'val',
      n: 30,
    });
    await expect(
      evaluate({ ...recipe, calibration: { fit_on: 'test' } }, { out: join(dir, 'out'), ...parts }),
    ).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('name an entry of role validation') as string,
    });
    // a calibration of an ensemble does not apply to the model's own scores
    const { score_version } = JSON.parse(await readFile(join(dir, 'out/calibration.json'), 'utf8')) as {
      score_version: string;
    };
    const own = (JSON.parse(await readFile(join(dir, 'out/evaluation.json'), 'utf8')) as { score_version: string })
      .score_version;
    expect(score_version).toBe(`${own}-ensemble`);
    await expect(
      evaluate(
        {
          ...recipe,
          ensemble: { ...recipe.ensemble, with: [{ name: 'tiny-untrained', csv: join(dir, 'other.csv') }] },
        },
        { out: join(dir, 'out'), ...parts },
      ),
    ).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('each needs a different name') as string,
    });
    await writeFile(join(dir, 'torn.csv'), 'id,score\na,1,2\n');
    await expect(
      evaluate(
        { ...recipe, ensemble: { ...recipe.ensemble, with: [{ name: 'torn', csv: join(dir, 'torn.csv') }] } },
        { out: join(dir, 'out'), ...parts },
      ),
    ).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('torn.csv is not valid CSV') as string,
    });
    await expect(
      evaluate({ ...recipe, data: [data[0], { ...data[1], name: 'TEST' }] }, { out: join(dir, 'twice'), ...parts }),
    ).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('two entries') as string });
    await expect(
      evaluate({ ...recipe, ensemble: { with: recipe.ensemble.with } }, { out: join(dir, 'out'), ...parts }),
    ).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('set fit_on to an entry of role validation') as string,
    });
  });
});

describe('calibrate', () => {
  it('fits on one file, is tested on another, and gives `score --calibration` the scale of the MOS', async () => {
    const dir = await place('calibrate');
    const records = await makeRecords(dir, 60);
    const data = ['test', 'validation'].map((split) => ({ name: split, records, split }));
    await evaluate({ name: 'c', model: 'tiny-untrained', data }, { out: join(dir, 'out') });
    const [test, validation] = ['test', 'validation'].map((name) => join(dir, `out/predictions/${name}.jsonl`)) as [
      string,
      string,
    ];
    const file = join(dir, 'c.json');
    const fitted = await cli(
      'calibrate',
      '--predictions',
      validation,
      '--test',
      test,
      '--method',
      'isotonic',
      '--out',
      file,
      '--page',
      join(dir, 'c.html'),
      '--json',
    );
    expect(fitted.code, fitted.said.join()).toBe(0);
    expect(JSON.parse(fitted.out)).toMatchObject({
      method: 'isotonic',
      fitted_on: 'validation',
      n: 20,
      measured_on: 'test',
      measured_n: 40,
    });
    expect(await readFile(join(dir, 'c.html'), 'utf8')).toContain('Expected calibration error');
    const scored = await cli(
      'score',
      join(dir, 'media/1.png'),
      '--format',
      'jsonl',
      '--model',
      'tiny-untrained',
      '--calibration',
      file,
    );
    expect(scored.code, scored.said.join()).toBe(0);
    const result = JSON.parse(scored.out) as Pick<
      ScoreResult,
      'score' | 'calibrated_score' | 'score_version' | 'calibration'
    >;
    const { curve, score_version } = JSON.parse(await readFile(file, 'utf8')) as {
      curve: CalibrationCurve;
      score_version: string;
    };
    expect(result.calibrated_score).toBe(calibrateScore(curve, result.score));
    // the same scores as without a calibration, so the same version of them
    expect(result.score_version).toBe(score_version);
    expect(result.calibration).toMatch(/^[0-9a-f]{8,}$/);
    const other = await cli(
      'score',
      join(dir, 'media/1.png'),
      '--scale',
      'unit',
      '--model',
      'tiny-untrained',
      '--calibration',
      file,
    );
    expect([other.code, other.said.join()]).toEqual([
      1,
      expect.stringMatching(/fitted on tiny-untrained.*\[RESUME_MISMATCH\]/),
    ]);
    await writeFile(file, '{"format":1}');
    expect((await cli('score', join(dir, 'media/1.png'), '--calibration', file)).said.join()).toMatch(
      /is not a calibration/,
    );
  }, 400_000);
});

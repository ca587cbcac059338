import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/logger.js';
import { parseLine, type CommandContext } from '../../../src/cli/command.js';
import type { SCORE_FLAGS } from '../../../src/cli/score/flags.js';
import { runScore } from '../../../src/cli/score/run.js';
import { score } from '../../../src/cli/score/score.js';
import type { SourceName } from '../../../src/media/sources.js';
import { shortFp32 } from '../../../src/recipes/score/layout/compact.js';
import { createScorerFrom } from '../../../src/recipes/score/score.js';
import type { ScoreSource } from '../../../src/recipes/score/scorer.js';
import { FAKE_MODEL, fakeParts, picture, type FakeLog } from '../../recipes/score/fake-scorer.js';
import { hearingTerminal, type Heard } from '../terminal/terminal-double.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-output-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ran extends Heard {
  /** Models in load order, and the highest number in memory at a time. */
  readonly loaded: string[];
  readonly most: number;
  readonly asked: number;
  readonly found: number;
}

/** A fake whose weights differ by model. */
async function run(line: string[], terminal = hearingTerminal()): Promise<Ran> {
  const log: FakeLog = { engineCalls: [], closed: 0 };
  const loaded: string[] = [];
  let [most, found] = [0, 0];
  async function* expandSources(inputs: readonly SourceName[]): AsyncGenerator<ScoreSource> {
    for (const input of inputs as readonly string[]) {
      found += 1;
      const identity = { bytes: input.length, modified: '2026-01-01T00:00:00Z' };
      yield { ...picture(input, input.endsWith('.mp4') ? 'video' : 'image'), identity };
    }
  }
  const words = line.includes('--model') ? line : ['--model', 'tiny-untrained', ...line];
  const context = {
    ...parseLine(score, words),
    terminal,
    log: silentLogger,
    signal: new AbortController().signal,
  } as unknown as CommandContext<typeof SCORE_FLAGS>;
  terminal.heard.code = await runScore(context, {
    expandSources,
    createScorer: (options) => {
      loaded.push(options.model!);
      most = Math.max(most, loaded.length - log.closed);
      const weights_sha256 = Buffer.from(options.model!).toString('hex').padEnd(64, '0').slice(0, 64);
      return createScorerFrom(fakeParts(log, { model: { ...FAKE_MODEL, weights_sha256 } }), options);
    },
  });
  return { ...terminal.heard, loaded, most, found, asked: log.engineCalls.length };
}

const rowsOf = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const read = async (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
const BOTH = ['--model', 'tiny-untrained', '--model', 'nano'];

describe('--fields', () => {
  it('writes these fields in this order, and reports failures on stderr', async () => {
    const { out, code, said } = await run(['a', 'bad', '--fields', 'score,input,level_probs.good,model.id,prompt']);
    const rows = rowsOf(out);
    expect(rows.map((row) => Object.keys(row))).toEqual(
      Array(2).fill(['score', 'input', 'level_probs.good', 'model.id', 'prompt']),
    );
    expect(rows[0]).toMatchObject({
      input: 'a',
      'model.id': 'tiny-untrained',
      prompt: { name: expect.any(String) as string },
    });
    expect(rows[1]).toEqual({ score: null, input: 'bad', 'level_probs.good': null, 'model.id': null, prompt: null });
    expect(code).toBe(1);
    expect(said.join('\n')).toContain('[MEDIA_CORRUPT]');
    const csv = await run(['a', '--fields', 'score,logits', '--format', 'csv']);
    expect(csv.out.split('\n')[0]).toBe('score,logits.excellent,logits.good,logits.fair,logits.poor,logits.bad');
    expect(JSON.parse((await run(['a', '--fields', 'input', '--format', 'json'])).out)).toEqual([{ input: 'a' }]);
  });

  it.each(['jsonl', 'csv'])('continues a %s file that has the required fields', async (format) => {
    const out = join(folder, `x.${format}`);
    const line = ['a', 'bad', '--out', out, '--fields', 'input,task,score_version,file_size,modified,score'];
    await run(line);
    const again = await run(['b', ...line, '--resume']);
    expect(again.asked).toBe(1);
    expect((await readFile(out, 'utf8')).match(/^("|\{"input":")?(a|b|bad)\b/gm)).toHaveLength(3);
    await expect(run([...line.slice(0, 4), '--resume'])).rejects.toMatchObject({
      code: 'RESUME_MISMATCH',
      message: expect.stringContaining('with --fields input,task') as string,
    });
    await expect(run(['a', '--out', out, '--resume', '--fields', 'input,score'])).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('task,score_version,file_size,modified') as string,
    });
  });

  it('names the fields that a file lacks', async () => {
    const out = join(folder, 'x.jsonl');
    await run(['a', '--out', out, '--fields', 'input,score']);
    await expect(run(['a', '--out', out, '--resume'])).rejects.toMatchObject({
      code: 'RESUME_MISMATCH',
      message: expect.stringContaining('lack task, score_version, file_size, modified') as string,
    });
  });
});

describe('--compact', () => {
  it.each(['jsonl', 'csv'])('shortens %s rows, and can be continued with the file beside it', async (format) => {
    const [full, out] = [join(folder, `full.${format}`), join(folder, `x.${format}`)];
    await run(['a', '--out', full]);
    const line = ['a', 'bad', 'c.mp4', '--out', out, '--compact'];
    await run(line);
    expect(await read(`x.${format}.meta.json`)).toContain('"weights_sha256"');
    const again = await run(['d', ...line, '--resume']);
    expect([again.asked, again.code]).toEqual([1, 1]);
    if (format === 'jsonl') {
      const bytes = ((await readFile(out, 'utf8')).split('\n')[0] ?? '').length;
      expect(bytes).toBeLessThan((await readFile(full, 'utf8')).length / 3);
    }
    await expect(run([...line, '--resume', '--scale', 'unit'])).rejects.toMatchObject({ code: 'RESUME_MISMATCH' });
    await expect(run([...line.slice(0, 5), '--resume'])).rejects.toThrow('was written with --compact');
    await expect(run(['a', '--out', full, '--compact', '--resume'])).rejects.toThrow('without --fields and --compact');
    const meta = await read(`x.${format}.meta.json`);
    await writeFile(`${out}.meta.json`, meta.replaceAll(/"v": "\w+"/g, '"v": "000000"'));
    await expect(run([...line, '--resume'])).rejects.toThrow('does not belong to');
    await rm(`${out}.meta.json`);
    await expect(run([...line, '--resume'])).rejects.toThrow('restore that file');
  });

  it('writes the shortest number with the same fp32 value', () => {
    for (const value of [0.1, 1 / 3, 4.4136, 123456789, 1e-7 / 3, 1.4e-45, -2.5, 0, 16777217])
      expect(Math.fround(shortFp32(value))).toBe(Math.fround(value));
    expect([Math.fround(0.1), Math.fround(4.4136), 2 ** -149].map((value) => String(shortFp32(value)))).toEqual([
      '0.1',
      '4.4136',
      '1e-45',
    ]);
  });
});

describe('--top, --bottom, --limit and --quiet', () => {
  const names = ['aa', 'a', 'bad', 'aaaa', 'bb', 'cccc'];
  const inputs = (text: string): unknown[] => rowsOf(text).map(({ input }) => input);

  it('return the best and the worst, ties in input order', async () => {
    const top = await run([...names, '--top', '3']);
    expect([inputs(top.out), top.code]).toEqual([['aaaa', 'cccc', 'aa'], 1]);
    expect(top.said.join('\n')).toContain('[MEDIA_CORRUPT]');
    const bottom = await run([...names, '--bottom', '2', '--task', 'quality', '--task', 'aesthetics']);
    expect(inputs(bottom.out)).toEqual(['a', 'aa', 'a', 'aa']);
    const shown = await run([...names, '--top', '1'], hearingTerminal(true));
    expect(shown.said.join('\n')).toContain('[MEDIA_CORRUPT]');
  });

  it('stops the search after N inputs', async () => {
    const { out, found, said } = await run([...names, '--limit', '2']);
    expect([inputs(out), found]).toEqual([['aa', 'a'], 2]);
    expect(said.at(-1)).toContain('limited to 2 inputs');
  });

  it('prints only errors', async () => {
    expect((await run(['a', 'b.mp4', '--quiet'])).said).toEqual([]);
    expect((await run(['a', 'bad', '--quiet'])).said).toEqual([expect.stringContaining('[MEDIA_CORRUPT]')]);
  });
});

describe('several models', () => {
  it.each([['jsonl'], ['csv'], ['jsonl', '--compact'], ['csv', '--compact']])(
    'write %s %s',
    async (format, ...more) => {
      const out = join(folder, `x.${format}`);
      const line = [...BOTH, 'a', 'bad', 'c', '--out', out, ...more];
      const first = await run(line);
      expect(first).toMatchObject({ loaded: ['tiny-untrained', 'nano'], most: 1, code: 1, asked: 4, found: 3 });
      expect(
        first.said.filter((text) => /^qalign: (nano|tiny-untrained): 2 scored, 1 failed, mean/.test(text)),
      ).toHaveLength(2);
      const again = await run([...line, 'd', '--resume']);
      expect(again.asked).toBe(2);
      expect((await readFile(out, 'utf8')).match(/bad is damaged/g)).toHaveLength(2);
      expect((await readdir(folder)).filter((name) => !name.startsWith('x.'))).toEqual([]);
    },
  );

  it('continue the file of one of them', async () => {
    const out = join(folder, 'x.jsonl');
    await run(['a', '--out', out]);
    expect((await run([...BOTH, 'a', '--out', out, '--resume'])).asked).toBe(1);
    expect(rowsOf(await read('x.jsonl')).map(({ model }) => (model as { id: string }).id)).toEqual([
      'tiny-untrained',
      'nano',
    ]);
    await expect(run(['a', '--out', out, '--resume'])).rejects.toMatchObject({ code: 'RESUME_MISMATCH' });
  });

  it('have a column in the table', async () => {
    const { out } = await run([...BOTH, 'a'], hearingTerminal(true));
    expect(out).toMatch(/ model {11}input\n.*tiny-untrained {2}a\n.*nano {12}a\n$/);
  });
});

it.each([
  [['--fields', 'scor'], /did you mean "score"/],
  [['--fields', 'p_good'], /did you mean "level_probs.good"/],
  [['--fields', 'weights_sha256'], /did you mean "model.weights_sha256"/],
  [['--fields', 'input,,score'], /needs comma-separated names/],
  [['--fields', 'input,input'], /twice/],
  [['--fields', 'input', '--format', 'table'], /different columns/],
  [['--fields', 'input', '--compact', '--out', 'x.csv'], /leave out/],
  [['--compact'], /needs --out/],
  [['--compact', '--out', 'x.json'], /JSON array/],
  [['--top', '1', '--bottom', '1'], /choose one/],
  [['--top', '0'], /whole number/],
  [['--limit', '1.5'], /whole number/],
  [['--top', '1', '--out', 'x.csv', '--resume'], /cannot continue/],
  [[...BOTH, '--calibration', 'c.json'], /applies to one model/],
  [[...BOTH, '--revision', 'c'], /applies to one model/],
  [[...BOTH, '--device', 'remote:2'], /one model per run/],
])('refuses %j', async (line, message) => {
  await expect(run(['a', ...line])).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(message) as string,
  });
});

it('refuses a task that one of the models does not support, before loading any', async () => {
  await expect(run([...BOTH, 'a', '--task', 'aesthetics'])).rejects.toMatchObject({ code: 'TASK_UNSUPPORTED' });
});

describe('--per-frame', () => {
  const at = (name: string): string => join(folder, name);
  const rowsOf = async (path: string): Promise<Record<string, unknown>[]> =>
    (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const curveOf = (row: Record<string, unknown> | undefined) =>
    row?.['frame_curve'] as { kind: string; window: number; scores: number[]; times_s: number[] } | undefined;

  it('adds a curve to clips only, and changes no other field', async () => {
    await run(['a.png', 'b.mp4', '--out', at('plain.jsonl')]);
    await run(['a.png', 'b.mp4', '--out', at('curves.jsonl'), '--per-frame']);
    const [plain, curves] = [await rowsOf(at('plain.jsonl')), await rowsOf(at('curves.jsonl'))];
    expect(curves[0]).toEqual(plain[0]);
    const { frame_curve: curve, ...own } = curves[1]!;
    expect(own).toEqual(plain[1]);
    expect(curve).toMatchObject({ kind: 'frame', window: 1, times_s: [0, 1, 2], worst: [0, 1, 2] });
    expect((curve as { prompt: string }).prompt).toContain('of this image?');
    await run(['b.mp4', '--out', at('windows.jsonl'), '--per-frame-window', '2']);
    const [row] = await rowsOf(at('windows.jsonl'));
    expect(curveOf(row)).toMatchObject({ kind: 'window', window: 2, times_s: [0, 1] });
  });

  it('writes summary columns of CSV, chosen fields, compact rows, a file of curves and a line of the table', async () => {
    await run(['a.png', 'b.mp4', '--out', at('c.csv'), '--per-frame', '--per-frame-csv', at('frames.csv')]);
    const [header, picture, clip] = (await readFile(at('c.csv'), 'utf8')).split('\n').map((line) => line.split(','));
    const cell = (row: string[] | undefined, name: string) => row?.[header?.indexOf(name) ?? -1];
    expect(['frames', 'frames_window', 'frames_worst_s'].map((name) => cell(clip, name))).toEqual(['3', '1', '0']);
    expect(Number(cell(clip, 'frames_mean'))).toBeGreaterThan(1);
    expect(cell(picture, 'frames_mean')).toBe('');
    const lines = (await readFile(at('frames.csv'), 'utf8')).trim().split('\n');
    expect(lines[0]).toBe('input,task,model,scale,window,index,time_s,score');
    expect(lines.slice(1).map((line) => line.split(',').slice(0, 7).join())).toEqual(
      [0, 1, 2].map((i) => `b.mp4,quality,tiny-untrained,mos5,1,${i},${i}`),
    );
    const fields = 'input,frame_curve.mean,frame_curve.scores';
    await run(['b.mp4', '--out', at('f.jsonl'), '--per-frame', '--fields', fields]);
    const [row] = await rowsOf(at('f.jsonl'));
    expect(row?.['frame_curve.scores']).toHaveLength(3);
    await run(['b.mp4', '--out', at('k.jsonl'), '--per-frame', '--compact']);
    const [compact] = await rowsOf(at('k.jsonl'));
    expect(curveOf(compact)?.scores).toEqual(curveOf(compact)?.scores.map(shortFp32));
    expect((await run(['b.mp4', '--format', 'table', '--per-frame'])).out).toMatch(
      /frames: mean \d\.\d{4}, 5 % below \d\.\d{4}, lowest \d\.\d{4} at 0\.0 s/,
    );
    expect((await run(['a.png', '--format', 'table', '--map'])).out).toMatch(
      /windows of \d+ px: median \d\.\d{4}, lowest \d\.\d{4} at \d+, \d+/,
    );
  });

  it.each(['jsonl', 'csv', 'fields', 'compact'])(
    'resumes a file with curves (%s), and adds missing ones',
    async (kind) => {
      const out = at(kind === 'csv' ? 'r.csv' : 'r.jsonl');
      const needed = 'input,score,task,score_version,file_size,modified,kind,frame_curve';
      const flags = kind === 'fields' ? ['--fields', needed] : kind === 'compact' ? ['--compact'] : [];
      const args = ['a.png', 'b.mp4', 'c.mp4', '--out', out, ...flags];
      const first = await run([...args.filter((word) => word !== 'c.mp4'), '--per-frame']);
      expect(first.asked).toBe(5); // two inputs, three frames
      const resumed = await run([...args, '--per-frame', '--resume']);
      expect(resumed.asked).toBe(4); // c.mp4 with its three frames
      expect((await run([...args, '--per-frame', '--resume'])).asked).toBe(0);
      // another curve is not the curve of this run
      const other = await run([...args, '--per-frame-window', '2', '--resume']);
      expect(other.asked).toBe(6); // two clips with two windows each
      if (kind === 'csv') {
        await run(['a.png', 'b.mp4', '--out', at('plain.csv')]);
        await expect(run(['b.mp4', '--out', at('plain.csv'), '--per-frame', '--resume'])).rejects.toMatchObject({
          code: 'RESUME_MISMATCH',
          message: expect.stringContaining('and without --per-frame') as string,
        });
        return;
      }
      if (kind === 'fields') return;
      await rm(out);
      await run(args);
      expect((await run([...args, '--per-frame', '--resume'])).asked).toBe(8); // only the clips
      const rows = await rowsOf(out);
      expect(rows.map((row) => [row['input'], curveOf(row)?.scores.length])).toEqual([
        ['a.png', undefined],
        ['b.mp4', 3],
        ['c.mp4', 3],
      ]);
      // a run without curves keeps them
      expect((await run([...args, '--resume'])).loaded).toEqual([]);
    },
  );

  it('refuses what does not fit together', async () => {
    const message = (...line: string[]) => run(line).then(String, ({ message }: Error) => message);
    expect(await message('b.mp4', '--per-frame-window', '1')).toContain('from 2 to 60, not 1');
    expect(await message('b.mp4', '--per-frame', '--fields', 'input,score')).toContain('add frame_curve');
    const resume = ['--out', at('x.jsonl'), '--resume'];
    expect(await message('b.mp4', '--per-frame-csv', at('y.csv'), ...resume)).toContain('cannot be continued');
    expect(await message('b.mp4', '--per-frame', '--fields', 'input,frame_curve.mean', ...resume)).toContain(
      'kind,frame_curve.window',
    );
    for (const same of [at('z.csv'), `${folder}/./z.csv`])
      expect(await message('b.mp4', '--out', at('z.csv'), '--per-frame-csv', same)).toContain('same file');
  });

  it('replaces an earlier file of curves, and no other file', async () => {
    await writeFile(at('clip.mp4'), 'a clip');
    await expect(run(['b.mp4', '--per-frame-csv', at('clip.mp4')])).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringContaining('--per-frame-csv') as string,
    });
    expect(await readFile(at('clip.mp4'), 'utf8')).toBe('a clip');
    for (let time = 0; time < 2; time += 1) await run(['b.mp4', '--per-frame-csv', at('curves.csv')]);
    expect((await readFile(at('curves.csv'), 'utf8')).trim().split('\n')).toHaveLength(4);
  });
});

describe('--map-out', () => {
  const at = (name: string): string => join(folder, name);
  it('is checked before a model is loaded', async () => {
    await writeFile(at('file'), 'text');
    for (const place of [at('file'), at('file/maps'), '/proc/maps']) {
      const terminal = hearingTerminal();
      await expect(run(['a.png', '--map', '--map-out', place, '--out', at('r.jsonl')], terminal)).rejects.toMatchObject(
        { code: 'OUTPUT_UNWRITABLE', message: expect.stringContaining('use another --map-out') as string },
      );
      expect(await readdir(folder)).toEqual(['file']);
    }
  });
});

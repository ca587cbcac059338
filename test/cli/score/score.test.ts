import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hearingTerminal } from '../terminal/terminal-double.js';
import { newLog, run } from './run-score.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-score-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('qalign score', () => {
  it('prints nothing but JSON lines on a pipe, and a warning about the untrained model on stderr', async () => {
    const { out, code, said, log } = await run(['a.jpg', 'b.mp4', '--task', 'quality', '--task', 'aesthetics']);
    const rows = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { input: string; task: string });
    expect(rows.map(({ input, task }) => `${input} ${task}`)).toEqual([
      'a.jpg quality',
      'a.jpg aesthetics',
      'b.mp4 quality',
      'b.mp4 aesthetics',
    ]);
    expect(code).toBe(0);
    expect(said).toEqual([
      expect.stringContaining('tiny-untrained is untrained'),
      'qalign: warning: b.mp4: short',
      expect.stringMatching(
        /^qalign: 2 scored, 1 with warnings, mean quality \d\.\d\d, aesthetics \d\.\d\d, [\d.]+\/s$/,
      ),
    ]);
    expect(log.closed).toBe(1);
  });

  it('prints a table on a terminal', async () => {
    const { out } = await run(['a.jpg'], { terminal: hearingTerminal(true) });
    expect(out).toMatch(/^ score 1–5 {2}level {6}probability {2}task {8}input\n/);
    expect(out).toMatch(/4\.\d{4} {2}excellent +\d+ % {2}quality +a\.jpg\n$/);
  });

  it('marks warnings in the table, and repeats them on stderr only if the table is not on the terminal', async () => {
    const tasks = ['--task', 'quality', '--task', 'aesthetics'];
    const shown = await run(['b.mp4', ...tasks], { terminal: hearingTerminal(true) });
    expect(shown.out).toMatch(/^! +\d\.\d{4} {2}.*\n! +\d\.\d{4} {2}.*\n! +warning: short\n$/m);
    expect(shown.said.join('\n')).not.toContain('warning:');
    const piped = await run(['b.mp4', '--format', 'table']);
    expect(piped.said).toContain('qalign: warning: b.mp4: short');
  });

  it('turns warnings into failures with --strict', async () => {
    const { out, code, said } = await run(['a.jpg', 'b.mp4', '--strict']);
    expect(code).toBe(1);
    expect(out).toContain('MEDIA_DOUBTFUL');
    expect(said.at(-1)).toMatch(/^qalign: 1 scored, 1 failed, mean/);
  });

  it('shows control characters of names instead of executing them', async () => {
    const name = 'a\u001b[31m\nb\u202e.jpg';
    const { out } = await run([name, '--format', 'table']);
    expect(out).toContain('a\\u001b[31m\\u000ab\\u202e.jpg');
    const failed = await run([`bad${name}`, '--format', 'table']);
    // eslint-disable-next-line no-control-regex
    expect([out, failed.out].join('').replaceAll('\n', '') + failed.said.join('')).not.toMatch(/[\u0000-\u001f\u202e]/);
  });

  it('prints no rate if nothing was scored', async () => {
    const { said } = await run(['bad.jpg']);
    expect(said.join('\n')).toContain('0 scored, 1 failed');
    expect(said.join('\n')).not.toMatch(/\d\/s/);
  });
  it('exits with 1 for a failure and returns the other scores, with 3 for a low score', async () => {
    const failed = await run(['a.jpg', 'bad.jpg', 'c.jpg', '--fail-below', '5']);
    expect(failed.code).toBe(1);
    expect(failed.out.trim().split('\n')).toHaveLength(3);
    expect(failed.said.join('\n')).toContain('bad.jpg is damaged. [MEDIA_CORRUPT]');
    const twice = await run(['bad.jpg', '--task', 'quality', '--task', 'aesthetics']);
    expect(twice.said.filter((line) => line.includes('is damaged'))).toHaveLength(1);
    expect((await run(['a.jpg', '--fail-below', '5'])).code).toBe(3);
    expect((await run(['a.jpg', '--fail-below', '1'])).code).toBe(0);
  });

  it.each([
    [[], /at least one/],
    [['a', '--resume'], /--resume needs --out/],
    [['a', '--resume', '--out', 'x.json'], /cannot continue a JSON array/],
    [['a', '--format', 'table', '--out', 'x'], /cannot be written to --out/],
    [['a', '--out', 'x.txt'], /the format of --out .* is unknown/],
    [['a', '--out', 'x'], /the format of --out .* is unknown/],
    [['a', '--out', 'x.parquet', '--resume'], /cannot continue a Parquet file/],
    [['a', '--format', 'parquet'], /needs --out/],
    [['a', '--csv-safe'], /needs CSV/],
    [['a', '--fps', '0'], /--fps must be/],
    [['a', '--max-frames', '1.5'], /--max-frames must be/],
    [['a', '--batch', '0'], /--batch must be/],
    [['a', '--include', '/'], /--include needs a pattern/],
    [['a', '--exclude', 'a', '--exclude', '/'], /--exclude needs a pattern/],
  ])('refuses %j', async (line, message) => {
    await expect(run(line)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) as string });
  });

  it('waits for another run that writes the same file, and leaves no other files', async () => {
    const out = join(folder, 'shared.jsonl');
    await run(['bad', 'a', '--out', out]);
    const line = ['bad', 'a', 'b', 'c', '--out', out, '--resume'];
    const both = await Promise.all([run(line), run(line)]);
    expect(both.map(({ code }) => code)).toEqual([1, 1]);
    const inputs = (await readFile(out, 'utf8'))
      .trim()
      .split('\n')
      .map((row) => (JSON.parse(row) as { input: string }).input);
    expect(inputs.sort()).toEqual(['a', 'b', 'bad', 'c']);
    expect(both.map(({ log }) => log.engineCalls.length).sort()).toEqual([0, 2]);
    expect(await readdir(folder)).toEqual(['shared.jsonl']);
  });

  it('does not create missing output folders', async () => {
    await expect(run(['a', '--out', join(folder, 'none', 'x.jsonl')])).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
  });

  it.each(['jsonl', 'csv'])('continues a %s file and scores nothing twice', async (format) => {
    const out = join(folder, `x.${format}`);
    await run(['a', 'b', 'c', '--out', out]);
    const whole = await readFile(out);
    await writeFile(out, whole.subarray(0, whole.length - 20));
    const again = await run(['a', 'b', 'c', '--out', out, '--resume']);
    expect(again.log.engineCalls).toHaveLength(1);
    expect((await readFile(out)).equals(whole)).toBe(true);
    expect((await run(['a', 'b', 'c', '--out', out, '--resume'])).log.engineCalls).toHaveLength(0);
    await expect(run(['a', '--out', out, '--resume', '--scale', 'unit'])).rejects.toMatchObject({
      code: 'RESUME_MISMATCH',
    });
  });

  it('exits with 3 also for a low score of an earlier run', async () => {
    for (const format of ['jsonl', 'csv']) {
      const out = join(folder, `low.${format}`);
      await run(['a', '--out', out]);
      expect((await run(['a', '--out', out, '--resume', '--fail-below', '5'])).code).toBe(3);
      expect((await run(['a', '--out', out, '--resume', '--fail-below', '1'])).code).toBe(0);
    }
  });

  it('refuses an existing file before a model is loaded', async () => {
    const out = join(folder, 'x.jsonl');
    await writeFile(out, 'something\n');
    const log = newLog();
    await expect(run(['a', '--out', out], { log })).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringContaining('--resume') as string,
    });
    expect(log.closed).toBe(0);
  });

  it('adds a task that an earlier run did not score', async () => {
    const out = join(folder, 'x.jsonl');
    await run(['a', '--out', out]);
    const again = await run(['a', '--out', out, '--resume', '--task', 'quality', '--task', 'aesthetics']);
    expect(again.log.engineCalls.map(({ prompts }) => prompts.length)).toEqual([1]);
    expect((await readFile(out, 'utf8')).trim().split('\n')).toHaveLength(2);
  });

  it('writes no JSON file when it is stopped', async () => {
    const stop = new AbortController();
    stop.abort();
    await expect(run(['a', '--out', join(folder, 'x.json')], { signal: stop.signal })).rejects.toThrow();
    await expect(readFile(join(folder, 'x.json'))).rejects.toThrow('ENOENT');
  });
});

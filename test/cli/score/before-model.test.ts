import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseLine, type CommandContext } from '../../../src/cli/command.js';
import { lookAhead } from '../../../src/cli/score/before-model.js';
import { runScore } from '../../../src/cli/score/run.js';
import { score } from '../../../src/cli/score/score.js';
import type { SCORE_FLAGS } from '../../../src/cli/score/flags.js';
import { QalignError } from '../../../src/base/errors.js';
import { silentLogger } from '../../../src/base/logger.js';
import { expandSources } from '../../../src/media/sources.js';
import type { ScoreSource } from '../../../src/recipes/score/scorer.js';
import { fakeScorer, picture } from '../../recipes/score/fake-scorer.js';
import { cli, hearingTerminal, type Heard } from '../terminal/terminal-double.js';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
  'base64',
);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-look-'));
  for (const name of ['a.png', 'b.png', 'c.png']) await writeFile(join(folder, name), PNG);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Real files, a model without Python. `models` counts how often one was loaded. */
async function run(...line: string[]): Promise<Heard & { models: number }> {
  const terminal = hearingTerminal();
  let models = 0;
  const context = {
    ...parseLine(score, ['--model', 'tiny-untrained', ...line]),
    terminal,
    log: silentLogger,
    signal: new AbortController().signal,
  } as unknown as CommandContext<typeof SCORE_FLAGS>;
  terminal.heard.code = await runScore(context, {
    createScorer: (options) => ((models += 1), fakeScorer(options)),
    expandSources,
  });
  return { ...terminal.heard, models };
}

const inputsOf = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { input: string }).input);

describe('qalign score, before a model is loaded', () => {
  it('reports missing inputs in rows, also if all are missing', async () => {
    const { out, said, code, models } = await run('/no/a.png', '/no/b.png', 'https://example.org/c.png');
    expect([code, models]).toEqual([1, 0]);
    expect(inputsOf(out)).toEqual(['/no/a.png', '/no/b.png', 'https://example.org/c.png']);
    expect(said.join('\n')).toMatch(/\[MEDIA_NOT_FOUND\][^]*\[MEDIA_URL_FORBIDDEN\][^]*0 scored, 3 failed/);
  });

  it('refuses maps and curves of a chat model, which rates only whole inputs', async () => {
    const asked = (...flags: string[]): Promise<unknown> =>
      run(join(folder, 'a.png'), '--model', 'hf:someone/their-vlm', ...flags);
    await expect(asked('--map')).rejects.toThrow(/their-vlm has no quality maps.*leave out --map/);
    await expect(asked('--per-frame')).rejects.toThrow(/no frame curves.*leave out --per-frame/);
    const { models } = await run(join(folder, 'a.png'), '--map');
    expect(models).toBe(1); // another model has maps
  });

  it('reports that a folder is empty', async () => {
    const empty = await mkdtemp(join(folder, 'empty-'));
    expect(await run(empty)).toMatchObject({ code: 1, models: 0 });
  });

  it('uses all inputs that it has checked', async () => {
    const names = ['/no/a.png', join(folder, 'a.png'), '/no/b.png', join(folder, 'b.png')];
    const { out, code, models } = await run(...names);
    expect([code, models]).toEqual([1, 1]);
    expect(inputsOf(out)).toEqual(names);
  });

  it.each(['jsonl', 'csv'])('finds nothing left to do in %s', async (format) => {
    const out = join(folder, `scores.${format}`);
    const names = ['a.png', 'b.png'].map((name) => join(folder, name));
    await run(...names, '--out', out);
    const written = await readFile(out);
    const again = await run(...names, '--out', out, '--resume');
    // CSV does not contain the picture size, and the real model of the fake has another size
    expect(again).toMatchObject({ code: 0, models: format === 'csv' ? 1 : 0 });
    expect((await readFile(out)).equals(written)).toBe(true);
    if (format === 'jsonl') {
      expect(again.said).toContain('qalign: nothing is left to do');
      expect(again.said.at(-1)).toContain('0 scored, 2 scored before');
      expect(await run(...names, '--out', out, '--resume', '--fail-below', '5')).toMatchObject({ code: 3, models: 0 });
    }
    expect(await run(...names, join(folder, 'c.png'), '--out', out, '--resume')).toMatchObject({ code: 0, models: 1 });
    expect((await readFile(out, 'utf8')).trim().split('\n')).toHaveLength(format === 'csv' ? 4 : 3);
  });

  it('loads the model if a picture, a setting or the model changed', async () => {
    const out = join(folder, 'scores.jsonl');
    const line = [join(folder, 'a.png'), '--out', out];
    await run(...line);
    for (const changed of [
      ['--scale', 'unit'],
      ['--max-frames', '3'],
      ['--prompt', 'automodel'],
      ['--precision', 'bf16'],
    ])
      await expect(run(...line, '--resume', ...changed).catch((error: QalignError) => error.code)).resolves.toSatisfy(
        (found) => found === 'RESUME_MISMATCH' || (found as { models: number }).models === 1,
      );
    await utimes(out, 1, 1);
    expect(await run(...line, '--resume')).toMatchObject({ models: 1 });
    await writeFile(join(folder, 'a.png'), Buffer.concat([PNG, Buffer.alloc(8)]));
    expect(await run(...line, '--resume')).toMatchObject({ models: 1 });
  });

  it('stops checking after too many failures, and returns all inputs', async () => {
    const error = new QalignError('MEDIA_NOT_FOUND', 'gone');
    async function* failing(): AsyncGenerator<ScoreSource> {
      for (let i = 0; i < 10_500; i++) yield { ...picture(`${i}`), error };
    }
    const { sources, needsModel } = await lookAhead(failing(), () => true);
    let count = 0;
    for await (const { input } of sources) expect(input).toBe(`${count++}`);
    expect([needsModel, count]).toEqual([true, 10_500]);
  });
});

describe('wrong usage', () => {
  it.each([
    [['score', 'a.jpg', '--task', 'aesthetics'], 'TASK_UNSUPPORTED'],
    [['score', 'a.jpg', '--model', 'nanoo'], 'CONFIG_NOT_FOUND'],
    [['score', 'a.jpg', '--prompt', 'defualt'], 'CONFIG_NOT_FOUND'],
    [['score', 'a.jpg', '--device', 'gpu'], 'USAGE'],
    [['serve', 'prot=80'], 'CONFIG_INVALID'],
    [['train', '/no/recipe.yaml'], 'CONFIG_NOT_FOUND'],
  ])('ends %j with 2', async (line, code) => {
    expect(await cli(...line)).toMatchObject({ code: 2, said: [expect.stringContaining(`[${code}]`)] });
  });
});

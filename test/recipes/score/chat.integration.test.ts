import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isFailure, type ScoreResult } from '../../../src/api/result.js';
import { packageRoot } from '../../../src/base/package-root.js';
import { createScorer } from '../../../src/recipes/score/create-scorer.js';
import type { Scorer } from '../../../src/recipes/score/scorer.js';
import { LEVELS } from '../../../src/scoring/levels.js';
import { testPython } from '../../setup/python.js';

/** Tiny random checkpoints, scored from files to rows, against one forward pass of transformers on Pillow's pixels. */
const run = promisify(execFile);
const PICTURES = ['pristine.jpg', 'noisy.webp', 'crushed.jpg'].map((name) =>
  join(packageRoot, 'test/fixtures/pictures', name),
);
const CLIP = join(packageRoot, 'test/fixtures/pictures/pan.mp4');
const FAMILIES = ['qwen3_5', 'internvl'] as const;
interface Reference {
  readonly text: string;
  readonly logits: number[];
  readonly log_sum_exp: number;
}

let work: string;
const folderOf = (family: string): string => join(work, family);
const expected = new Map<string, Reference[]>();

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'qalign-chat-'));
  const { executable, path } = await testPython(['transformers']);
  const helpers = join(packageRoot, 'test/python/transformers_backend');
  for (const family of FAMILIES) {
    const script = [join(helpers, 'write_reference.py'), folderOf(family), family, ...PICTURES];
    const env = { ...process.env, PYTHONPATH: `${path}:${helpers}`, OMP_NUM_THREADS: '1' };
    const { stdout } = await run(executable, script, { env, maxBuffer: 2 ** 24 });
    expected.set(family, JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Reference[]);
  }
}, 600_000);
afterAll(() => rm(work, { recursive: true, force: true }));

const logitsOf = ({ logits }: ScoreResult): number[] => LEVELS.map((level) => logits[level]);
const furthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

async function scores(scorer: Scorer, inputs: readonly string[]): Promise<ScoreResult[]> {
  const outcomes: ScoreResult[] = [];
  for await (const outcome of scorer.scoreMany(inputs, { task: 'quality' })) {
    if (isFailure(outcome)) throw new Error(JSON.stringify(outcome.error));
    outcomes.push(outcome);
  }
  return outcomes;
}

describe.each(FAMILIES)('%s', (family) => {
  it('has the logits of transformers, the rendered text and the level tokens, alone and in a batch', async () => {
    await using scorer = await createScorer({ model: folderOf(family), device: 'cpu', offline: true });
    const alone: ScoreResult[] = [];
    for (const one of PICTURES) alone.push(...(await scores(scorer, [one])));
    const together = await scores(scorer, PICTURES);
    for (const [i, reference] of expected.get(family)!.entries()) {
      const result = together[i]!;
      expect(furthest(logitsOf(result), reference.logits)).toBeLessThan(2e-5);
      expect(furthest(logitsOf(result), logitsOf(alone[i]!))).toBeLessThan(2e-5);
      const mass = reference.logits.reduce((sum, logit) => sum + Math.exp(logit - reference.log_sum_exp), 0);
      expect(result.level_mass).toBeCloseTo(mass, 4);
      expect(result.prompt.rendered).toBe(reference.text);
      expect(Object.values(result.prompt.level_tokens ?? {}).map((ids) => ids.length)).toEqual([1, 1, 1, 1, 1]);
      expect(result.model).toMatchObject({ family, taught: false });
      expect(result.preprocessing.form).toBe(family === 'qwen3_5' ? 'smart' : 'native');
    }
    // the pictures are told apart
    expect(furthest(expected.get(family)![0]!.logits, expected.get(family)![1]!.logits)).toBeGreaterThan(1e-3);
  }, 900_000);
});

describe('the command', () => {
  const cli = async (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
    run(process.execPath, ['--import', 'tsx', join(packageRoot, 'src/cli/main.ts'), ...args], { cwd: packageRoot });

  it('scores pictures and a clip with a folder, for both tasks, and says that it was not taught', async () => {
    const out = join(work, 'rows.jsonl');
    const inputs = [PICTURES[0]!, CLIP];
    const asked = ['--task', 'quality', '--task', 'aesthetics', '--device', 'cpu', '--offline', '--out', out];
    const { stderr } = await cli('score', ...inputs, '--model', folderOf('qwen3_5'), ...asked);
    expect(stderr).toMatch(/was not taught to rate: these are zero-shot scores/);
    const rows = (await readFile(out, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as ScoreResult);
    expect(rows.map(({ kind, task, frames }) => [kind, task, frames])).toEqual([
      ['image', 'quality', undefined],
      ['image', 'aesthetics', undefined],
      ['video', 'quality', 8],
      ['video', 'aesthetics', 8],
    ]);
    expect(furthest(logitsOf(rows[0]!), expected.get('qwen3_5')![0]!.logits)).toBeLessThan(2e-5);
    expect(rows[2]).toMatchObject({ frame_rule: 'eight', prompt: { stem: 'The quality of the video is' } });
    expect(rows[2]!.prompt.rendered?.split('<|image_pad|>')).toHaveLength(9);
    const { stderr: again } = await cli('score', ...inputs, '--model', folderOf('qwen3_5'), ...asked, '--resume');
    expect(again).toMatch(/4 scores are already in/);
    const table = await cli(
      'score',
      PICTURES[0]!,
      '--model',
      `hf:${folderOf('qwen3_5')}`,
      '--format',
      'csv',
      '--fields',
      'score,model.taught,prompt.level_tokens.good',
    );
    expect(table.stdout).toMatch(/^score,model\.taught,prompt\.level_tokens\.good\n[\d.]+,false,\d+\n$/);
  }, 900_000);
});

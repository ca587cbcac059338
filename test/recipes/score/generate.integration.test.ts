import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { answerKind } from '../../../src/prompts/answer-kind.js';
import { generateAnswers } from '../../../src/recipes/score/generate.js';
import { cli } from '../../cli/terminal/terminal-double.js';

const pictures = ['blurred.jpg', 'pristine.jpg'].map((name) => join(packageRoot, 'test/fixtures/pictures', name));

describe('generateAnswers', () => {
  it('generates the same text every time with a real worker', async () => {
    const prompt = 'USER: <|image|>Rate the quality of the image.\nASSISTANT:';
    const once = await generateAnswers(pictures, prompt, { model: 'tiny-untrained', maxNewTokens: 5 });
    expect(once.answers.map(({ picture }) => picture)).toEqual(pictures);
    for (const { tokens, finished } of once.answers) expect(tokens <= 5 && (finished || tokens === 5)).toBe(true);
    expect((await generateAnswers(pictures, prompt, { model: 'tiny-untrained', maxNewTokens: 5 })).answers).toEqual(
      once.answers,
    );
    await expect(generateAnswers(pictures, 'no marker', { model: 'tiny-untrained' })).rejects.toMatchObject({
      message: expect.stringContaining('0 image markers') as string,
    });
  }, 300_000);
});

describe('table 1', () => {
  it('counts adjectives and numbers', async () => {
    expect(
      ['The quality is good.', 'I rate it 4 out of 5.', 'Good: 7/10.', 'A dog.', 'four out of five', 'goodness'].map(
        answerKind,
      ),
    ).toEqual(['adjective', 'number', 'both', 'neither', 'number', 'neither']);
    const out = await mkdtemp(join(tmpdir(), 'qalign-table1-'));
    try {
      const heard = await cli('reproduce', 'table1', '--model', 'tiny-untrained', '--out', out, '--format', 'json');
      expect(heard.code, heard.said.join('\n')).toBe(0);
      const { rows, notes } = JSON.parse(heard.out) as { rows: { n: number }[]; notes: string[] };
      expect(rows[0]?.n).toBe(4);
      expect(notes[0]).toContain('UNTRAINED');
    } finally {
      await rm(out, { recursive: true });
    }
  }, 300_000);
});

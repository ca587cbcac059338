import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { comparePredictions, evaluatePredictions } from '../../../src/recipes/evaluate/from-files.js';
import { modelSentence } from '../../../src/recipes/evaluate/markdown.js';
import { predict } from '../../../src/recipes/evaluate/predict.js';
import { readPredictions } from '../../../src/recipes/evaluate/predictions.js';
import { recordSet } from '../../../src/recipes/evaluate/records.js';
import { wordPairScore } from '../../../src/scoring/score.js';
import { chatScorer } from '../score/fake-chat-scorer.js';
import { fakeScorer } from '../score/fake-scorer.js';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'qalign-chat-predictions-'))));
afterAll(() => rm(folder, { recursive: true }));

const records = ['a', 'bbbb', 'ccccccc'].map((name, i) => ({
  id: name,
  media: name,
  kind: 'image' as const,
  task: 'quality' as const,
  mos: 1 + i,
  dataset: 'made-up',
  split: 'test',
  question: '<|image|>How is it?',
  answer: 'Fine.',
  source: { file: 'labels.csv', row: i + 2 },
}));

it('zero-shot scores are measured by two words beside a taught model, and are named as such', async () => {
  const set = recordSet('own', join(folder, 'own.jsonl'), records, folder);
  const files = ['chat', 'taught'].map((name) => join(folder, `${name}.jsonl`)) as [string, string];
  const { scorer } = await chatScorer({ model: 'hf:someone/their-vlm' });
  await predict(scorer, set, files[0]);
  await predict(await fakeScorer(), set, files[1]);
  const { header, scores } = await readPredictions(files[0]);
  expect(header.model).toMatchObject({ id: 'hf:someone/their-vlm', taught: false });
  expect(header.prompt).toMatchObject({ name: 'chat', stem: 'The {task} of the {kind} is' });
  expect(header.preprocessing).toMatchObject({ form: 'smart', multiple: 32, frame_rule: 'eight' });
  expect(header.score_version).toBe(scorer.scoreVersion);
  expect(modelSentence(header)).toMatch(/not taught to rate: these are zero-shot scores/);
  expect([...scores]).toHaveLength(3);
  const measured = await evaluatePredictions(files[0], { rule: 'two_words' });
  const expected = wordPairScore(3, 0); // the logits of "good" and "poor"
  expect(measured.ranges.score).toEqual([expected, expected]);
  const { models, n } = await comparePredictions(files[0], files[1], { rule: 'two_words' });
  expect([models, n]).toEqual([['hf:someone/their-vlm', 'tiny-untrained'], 3]);
});

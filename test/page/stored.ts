import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import type { ScoreOutcome } from '../../src/api/result.js';
import { evaluate } from '../../src/recipes/evaluate/evaluate.js';
import { createScorerFrom } from '../../src/recipes/score/score.js';
import { createRun } from '../../src/runs/run-directory.js';
import { LEVELS } from '../../src/scoring/levels.js';
import { makeRecords } from '../recipes/evaluate/records.js';
import { fakeParts } from '../recipes/score/fake-scorer.js';
import { trainEvents } from './train-events.js';

/** Outcomes as `qalign score` writes them: scored, doubtful and failed ones, with the pictures of `folder`. */
export async function makeOutcomes(folder: string, count: number): Promise<ScoreOutcome[]> {
  await mkdir(join(folder, 'photos'), { recursive: true });
  return Promise.all(Array.from({ length: count }, (_, i) => outcome(folder, i)));
}

const PICTURES = 12;

async function outcome(folder: string, i: number): Promise<ScoreOutcome> {
  const input = `photos/picture-${String(i).padStart(4, '0')}.png`;
  if (i < PICTURES)
    await sharp({ create: { width: 320, height: 200, channels: 3, background: { r: i * 20, g: 90, b: 255 - i * 20 } } })
      .png()
      .toFile(join(folder, input));
  if (i % 10 === 7)
    return {
      schema_version: 2,
      input,
      task: 'quality',
      kind: 'image',
      error: { code: 'MEDIA_CORRUPT', message: `${input} is damaged.` },
    } as unknown as ScoreOutcome;
  const probs = [0.05 + (i % 9) * 0.05, 0.2, 0.15, 0.1];
  const level_probs = Object.fromEntries(
    LEVELS.map((level, k) => [level, probs[k] ?? 1 - probs.reduce((a, b) => a + b)]),
  );
  const score = LEVELS.reduce((sum, level, k) => sum + level_probs[level]! * (5 - k), 0);
  return {
    schema_version: 2,
    input,
    task: 'quality',
    kind: 'image',
    score,
    scale: 'mos5',
    level: 'good',
    level_probs,
    logits: Object.fromEntries(LEVELS.map((level, k) => [level, 3 - k])),
    level_mass: i % 10 === 3 ? 0.2 : 0.97,
    entropy: 1 + (i % 5) / 20,
    std: 0.8,
    frames: 1,
    width: 320,
    height: 200,
    warnings: [],
    model: { id: 'fake', revision: 'local', weights_sha256: 'ab'.repeat(32), precision: 'fp32', device: 'cpu' },
    prompt: { name: 'training', text: 'How would you rate the quality of this image?' },
    preprocessing: {
      size: 448,
      pad: [122, 116, 104],
      resize: 'pillow-bicubic',
      auto_orient: true,
      fps: null,
      max_frames: null,
      frame_rule: 'auto',
    },
    score_version: '0123456789abcdef',
  } as unknown as ScoreOutcome;
}

/** A run directory with the events of `steps` updates; with 400 steps it is completed. */
export async function makeRun(root: string, name: string, steps: number, seed: number): Promise<string> {
  const folder = await createRun(root, name, { name, model: 'nano', epochs: 4, batch_size: 16 }, { versions: {} });
  await appendFile(join(folder, 'events.jsonl'), trainEvents(1, steps, seed));
  if (steps === 400)
    await appendFile(
      join(folder, 'events.jsonl'),
      '{"event":"end","time":1790000401,"status":"completed","step":400}\n',
    );
  return folder;
}

/** A completed evaluation of a scorer whose scores rise with the number of the record, with some noise. */
export async function makeEvaluation(folder: string): Promise<string> {
  const records = await makeRecords(folder, 60, (record, i) => ({ ...record, mos: 20 + i + ((i * 37) % 11) }));
  const parts = fakeParts({ engineCalls: [], closed: 0 }, undefined, async ({ input }) => {
    const number = Number(/(\d+)\.png$/.exec(input)?.[1]);
    const data = new Uint8Array(48).fill(number === 5 ? 9 : Math.round(number / 12 + (number % 3) / 2));
    return { frames: 1, width: 64, height: 64, data, warnings: [] };
  });
  const out = join(folder, 'evaluation');
  await evaluate(
    {
      name: 'made-up-set',
      model: 'tiny-untrained',
      data: [{ name: 'made-up', records }],
      bootstrap: { replicates: 100 },
    },
    { out, createScorer: async (options) => createScorerFrom(parts, { ...options, model: 'tiny-untrained' }) },
  );
  return out;
}

export const writeLines = (file: string, rows: readonly unknown[]): Promise<void> =>
  writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

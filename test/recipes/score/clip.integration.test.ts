import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isFailure, type ScoreResult } from '../../../src/api/result.js';
import { createPreparer } from '../../../src/media/preparer.js';
import { extractFrames } from '../../../src/media/video/frame-folder.js';
import { createScorer } from '../../../src/recipes/score/create-scorer.js';
import type { Scorer } from '../../../src/recipes/score/scorer.js';

let folder: string;
let clip: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'qalign-clips-'));
  clip = join(folder, 'clip.mp4');
  const source = ['-f', 'lavfi', '-i', 'testsrc2=s=160x120:r=5:d=23'];
  execFileSync('ffmpeg', ['-v', 'error', ...source, '-pix_fmt', 'yuv420p', clip]);
  await extractFrames(clip, join(folder, 'frames'), { size: 56 });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function score(scorer: Scorer, media: string): Promise<ScoreResult> {
  const [outcome] = await scorer.score({ input: media, kind: 'video', media });
  if (outcome === undefined || isFailure(outcome)) throw new Error(JSON.stringify(outcome));
  return outcome;
}

it('a clip and the folder of its frames score the same in chunks and whole', async () => {
  await using whole = await createScorer({ model: 'tiny-untrained', device: 'cpu', maxBatchFrames: 64 });
  await using chunks = await createScorer({ model: 'tiny-untrained', device: 'cpu', maxBatchFrames: 4 });
  for (const media of [clip, join(folder, 'frames')]) {
    const [one, other] = [await score(whole, media), await score(chunks, media)];
    expect(one.frames).toBe(23);
    expect(Math.abs(one.score - other.score)).toBeLessThan(1e-5);
    for (const [word, logit] of Object.entries(one.logits))
      expect(Math.abs(logit - other.logits[word as keyof typeof other.logits])).toBeLessThan(1e-5);
    expect({ ...other, score: 0, logits: 0, level_probs: 0, level_mass: 0, entropy: 0, std: 0 }).toEqual({
      ...one,
      score: 0,
      logits: 0,
      level_probs: 0,
      level_mass: 0,
      entropy: 0,
      std: 0,
    });
  }
}, 240_000);

it.runIf(process.platform === 'linux')(
  'a clip of 700 frames is never in memory as a whole',
  async () => {
    const long = join(folder, 'long.mp4');
    execFileSync('ffmpeg', [
      '-v',
      'error',
      '-f',
      'lavfi',
      '-i',
      'testsrc=s=64x64:r=1:d=700',
      '-pix_fmt',
      'yuv420p',
      long,
    ]);
    await using scorer = await createScorer({ model: 'tiny-untrained', device: 'cpu' });
    expect((await score(scorer, long)).frames).toBe(700);
    const pid = scorer.load().engine?.workers[0]?.pid;
    const peakKb = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    expect(Number(peakKb) / 1024).toBeLessThan(600); // MB; the library alone takes 250
  },
  240_000,
);

it('chunks hold the pixels of the whole, from a path, from bytes and when read again', async () => {
  const preparer = createPreparer();
  const options = { size: 56, maxFrames: 20 };
  const whole = await preparer.prepare({ media: clip, kind: 'video' }, options);
  for (const media of [clip, new Uint8Array(readFileSync(clip))]) {
    const reader = await preparer.open({ media, kind: 'video' }, options);
    expect(reader).toMatchObject({ frames: 20, width: 160, height: 120 });
    for (const most of [6, 16]) {
      const parts: Uint8Array[] = [];
      for await (const chunk of reader.chunks(most)) parts.push(chunk.data);
      expect(parts).toHaveLength(Math.ceil(20 / most));
      expect(Buffer.concat(parts).equals(whole.data)).toBe(true);
    }
    await reader.close();
  }
  const unread = await preparer.open({ media: new Uint8Array(readFileSync(clip)), kind: 'video' }, options);
  await unread.close();
  await preparer.close();
}, 60_000);

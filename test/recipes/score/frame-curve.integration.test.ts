import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isFailure, type ScoreResult } from '../../../src/api/result.js';
import { sampleVideo } from '../../../src/media/video/video.js';
import { createScorer } from '../../../src/recipes/score/create-scorer.js';
import type { Scorer, ScoreOptions } from '../../../src/recipes/score/scorer.js';

let folder: string;
let clip: string;
const at = (name: string): string => join(folder, name);
const ffmpeg = (...words: string[]): Buffer => execFileSync('ffmpeg', ['-v', 'error', ...words]);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'qalign-curve-'));
  clip = at('clip.mp4');
  const source = ['-f', 'lavfi', '-i', 'testsrc2=s=160x120:r=30000/1001:d=4.1'];
  // two blurred frames: at 2 s and 3 s
  ffmpeg(...source, '-vf', "boxblur=8:enable='between(t,1.5,3.5)'", '-pix_fmt', 'yuv420p', clip);
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=32x24:r=1:d=260', '-pix_fmt', 'yuv420p', '-g', '50', at('long.mp4'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function score(scorer: Scorer, media: string | Uint8Array, options: ScoreOptions = {}): Promise<ScoreResult[]> {
  const outcomes = await scorer.score({ input: 'clip', kind: 'video', media }, options);
  return outcomes.map((outcome) => {
    if (isFailure(outcome)) throw new Error(JSON.stringify(outcome));
    return outcome;
  });
}

describe('a frame curve of nano', () => {
  let scorer: Scorer;
  const frames: { device: string; frames: number; items: number }[] = [];
  beforeAll(async () => {
    scorer = await createScorer({ model: 'nano', device: 'cpu', onBatch: (batch) => void frames.push(batch) });
  }, 240_000);
  afterAll(() => scorer.close());

  it('has the scores of its frames as pictures, their times, and leaves the score of the clip unchanged', async () => {
    const [plain] = await score(scorer, clip);
    frames.length = 0;
    const [result] = await score(scorer, new Uint8Array(readFileSync(clip)), { perFrame: true });
    const { frame_curve: curve, ...own } = result!;
    expect(own).toEqual(plain); // to the bit
    // the encoder computes each frame once
    expect(frames.reduce((sum, batch) => sum + batch.frames, 0)).toBe(4);
    expect(frames.reduce((sum, batch) => sum + batch.items, 0)).toBe(1);
    const alone: number[] = [];
    const times: number[] = [];
    for await (const { data, width, height, timeS } of (await sampleVideo(clip)).frames) {
      const png = await sharp(data, { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer();
      const picture = await scorer.score(png, { task: 'quality' });
      alone.push((picture as ScoreResult).score);
      times.push(timeS);
    }
    expect(curve?.scores).toHaveLength(4);
    curve?.scores.forEach((one, i) => expect(Math.abs(one - alone[i]!)).toBeLessThan(1e-5));
    expect(curve?.times_s).toEqual(times);
    times.forEach((time, i) => expect(time).toBeCloseTo((Math.floor((i * 30000) / 1001) * 1001) / 30000, 3));
    // the blurred frames are the worst
    expect(curve?.worst.slice(0, 2).sort()).toEqual([2, 3]);
    expect(curve?.min).toBe(Math.min(...curve!.scores));
  }, 120_000);

  it('of windows is the score of the clip of these frames; a picture has no curve', async () => {
    const [result] = await score(scorer, clip, { perFrameWindow: 2 });
    expect(result?.frame_curve).toMatchObject({ kind: 'window', window: 2 });
    expect(result?.frame_curve?.scores).toHaveLength(3);
    const [whole] = await score(scorer, clip, { perFrameWindow: 60 });
    expect(whole?.frame_curve?.scores).toHaveLength(1);
    expect(Math.abs(whole!.frame_curve!.scores[0]! - whole!.score)).toBeLessThan(1e-5);
    const png = ffmpeg('-i', clip, '-frames:v', '1', '-f', 'image2pipe', '-c:v', 'png', '-');
    expect(await scorer.score(png, { task: 'quality', perFrame: true })).not.toHaveProperty('frame_curve');
  }, 120_000);
});

it('a long clip in chunks has a curve for each task, and each frame is encoded once', async () => {
  const messages: number[] = [];
  await using scorer = await createScorer({
    model: 'tiny-untrained',
    device: 'cpu',
    maxBatchFrames: 8,
    onBatch: ({ frames }) => void messages.push(frames),
  });
  const both = { tasks: ['quality', 'aesthetics'] as const };
  const results = await score(scorer, at('long.mp4'), { ...both, perFrame: true });
  expect(messages.reduce((sum, frames) => sum + frames, 0)).toBe(260);
  const [quality, aesthetics] = results.map(({ frame_curve: curve }) => curve!);
  expect([quality!.scores.length, aesthetics!.scores.length]).toEqual([260, 260]);
  expect(quality!.prompt).toContain('quality of this image');
  expect(aesthetics!.prompt).toContain('aesthetics of this image');
  expect(quality!.scores).not.toEqual(aesthetics!.scores);
}, 240_000);

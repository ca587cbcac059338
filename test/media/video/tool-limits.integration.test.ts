import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MediaLimits } from '../../../src/media/limits.js';
import { canLimitMemory } from '../../../src/media/video/tools/tool-limits.js';
import { runTool } from '../../../src/media/video/tools/tool-process.js';
import { sampleVideo } from '../../../src/media/video/video.js';

const folder = mkdtempSync(join(tmpdir(), 'qalign-limits-'));
const clip = (size: string, name: string): void => {
  const source = ['-f', 'lavfi', '-i', `color=gray:s=${size}:r=1:d=2`, '-pix_fmt', 'yuv420p'];
  execFileSync('ffmpeg', ['-v', 'error', ...source, '-c:v', 'mpeg2video', '-f', 'mpegts', join(folder, name)]);
};
beforeAll(() => {
  clip('1920x1080', 'large.ts');
  clip('160x120', 'small.ts');
  // the same stream, whose pictures become larger
  execFileSync('sh', ['-c', 'cat small.ts large.ts large.ts large.ts > grows.ts'], { cwd: folder });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function count(name: string, limits: Partial<MediaLimits>): Promise<number> {
  const { frames } = await sampleVideo(join(folder, name), { limits });
  let found = 0;
  for await (const { data } of frames) found += Math.min(1, data.length);
  return found;
}

describe('limits of ffmpeg', () => {
  it('allow clips within them', async () => {
    expect(await count('large.ts', { maxFramePixels: 1920 * 1080, maxToolMemory: 2 * 1024 ** 3 })).toBe(2);
  });

  it.each(['large.ts', 'grows.ts'])('refuse frames with too many pixels, also later in a clip: %s', async (name) => {
    await expect(count(name, { maxFramePixels: 640 * 480 })).rejects.toMatchObject({ code: 'MEDIA_TOO_LARGE' });
  });

  it.runIf(canLimitMemory())('limit its memory', async () => {
    const { stdout } = await runTool('sh', ['-c', 'ulimit -v'], { timeoutMs: 10_000, maxMemory: 123 * 1024 ** 2 });
    expect(Number(stdout)).toBe(123 * 1024);
  });

  it.runIf(canLimitMemory())('give one typed error if the memory is not sufficient', async () => {
    // just enough to start the program, without pictures
    const outcomes = await Promise.allSettled(
      [150, 200, 250, 300].map((mb) => count('large.ts', { maxToolMemory: mb * 1024 ** 2 })),
    );
    const codes = outcomes.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'scored'));
    expect(codes).toContain('MEDIA_TOO_LARGE');
    expect(codes.filter((code) => !/^(MEDIA_TOO_LARGE|MEDIA_CORRUPT|FFMPEG_|scored)/.test(code))).toEqual([]);
  });

  it.runIf(canLimitMemory())('report a missing program', async () => {
    await expect(runTool('/nowhere/ffmpeg', [], { timeoutMs: 10_000, maxMemory: 2 ** 30 })).rejects.toMatchObject({
      code: 'FFMPEG_NOT_FOUND',
    });
  });
});

import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { requireFfmpeg, runTool } from '../../media/video/ffmpeg.js';

/** A clip of 1280 × 720 at 30 frames a second with a moving test picture, made once; returns its path. */
export async function makeClip(path: string, seconds: number, signal?: AbortSignal): Promise<string> {
  if (existsSync(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  const draft = path.replace(/(\.\w+)$/, '.part$1');
  const { ffmpeg } = requireFfmpeg();
  const { code, stderr } = await runTool(
    ffmpeg,
    [
      '-v',
      'error',
      '-y',
      '-f',
      'lavfi',
      '-i',
      `testsrc2=size=1280x720:rate=30:duration=${seconds}`,
      '-c:v',
      'mpeg4',
      '-q:v',
      '4',
      '-pix_fmt',
      'yuv420p',
      draft,
    ],
    { timeoutMs: 120_000, signal },
  );
  if (code !== 0)
    throw new QalignError(
      'OUTPUT_UNWRITABLE',
      `${path} could not be made with ${ffmpeg} (${stderr.trim().split('\n')[0] ?? `code ${code}`}).`,
    );
  await rename(draft, path);
  return path;
}

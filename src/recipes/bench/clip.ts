import { existsSync } from 'node:fs';
import { QalignError } from '../../base/errors.js';
import { makeWhole } from '../../base/files/whole-file.js';
import { requireFfmpeg } from '../../media/video/tools/ffmpeg.js';
import { runTool } from '../../media/video/tools/tool-process.js';

/**
 * Creates a clip of 1280 × 720 at 30 frames per second with a moving test pattern, if it does not exist. Returns its
 * path.
 */
export async function makeClip(path: string, seconds: number, signal?: AbortSignal): Promise<string> {
  if (existsSync(path)) return path;
  await makeWhole(path, (draft) => makeTestClip(path, draft, seconds, signal));
  return path;
}

async function makeTestClip(path: string, draft: string, seconds: number, signal?: AbortSignal): Promise<void> {
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
      '-f',
      'mp4', // the name of a draft does not show its format
      draft,
    ],
    { timeoutMs: 120_000, signal },
  );
  if (code !== 0)
    throw new QalignError(
      'OUTPUT_UNWRITABLE',
      `${path} cannot be created with ${ffmpeg} (${stderr.trim().split('\n')[0] ?? `code ${code}`}).`,
    );
}

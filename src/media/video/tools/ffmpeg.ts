import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { QalignError } from '../../../base/errors.js';
import { chooseFfmpeg, versionOf, type Candidate, type Choice } from './ffmpeg-choice.js';
import { runTool } from './tool-process.js';

/** Formats that ffmpeg can open: no playlists, no ffconcat scripts, no pictures. File names do not matter. */
const FORMATS =
  'mov,matroska,avi,mpegts,mpeg,mpegvideo,gif,h264,hevc,m4v,flv,asf,ogg,ivf,obu,mxf,nut,rm,wtv,dv,yuv4mpegpipe';
export const GUARDS = ['-protocol_whitelist', 'file,pipe', '-format_whitelist', FORMATS] as const;

export interface FfmpegPaths {
  readonly ffmpeg: string | undefined;
  readonly ffprobe: string | undefined;
}

export interface FoundTool {
  readonly path: string;
  readonly version: string;
  /** `FFMPEG_BIN` or `FFPROBE_BIN`, `ffmpeg-static`, or `PATH`. */
  readonly origin: string;
  /** Why it was preferred to another installed program. Empty if there is no other. */
  readonly why: string;
}

/** Finds ffmpeg: FFMPEG_BIN, else the newer of PATH and ffmpeg-static. Finds ffprobe: FFPROBE_BIN, else PATH. */
export function findFfmpeg(env: NodeJS.ProcessEnv = process.env): FfmpegPaths {
  return {
    ffmpeg: env['FFMPEG_BIN'] || choose(env)?.path,
    ffprobe: env['FFPROBE_BIN'] || onPath('ffprobe', env),
  };
}

/** Finds both programs. @throws QalignError FFMPEG_NOT_FOUND with the three places to install ffmpeg */
export function requireFfmpeg(): { ffmpeg: string; ffprobe: string | undefined } {
  const { ffmpeg, ffprobe } = findFfmpeg();
  if (ffmpeg !== undefined) return { ffmpeg, ffprobe };
  throw new QalignError(
    'FFMPEG_NOT_FOUND',
    'No ffmpeg was found for clips; set FFMPEG_BIN, install the npm package ffmpeg-static, or put ffmpeg on PATH (Debian: apt-get install ffmpeg).',
  );
}

/** Returns the path and version of each program, for `qalign doctor`. */
export async function describeFfmpeg(
  env: NodeJS.ProcessEnv = process.env,
): Promise<Record<'ffmpeg' | 'ffprobe', FoundTool | undefined>> {
  const paths = findFfmpeg(env);
  const describe = async (path: string | undefined, variable: string): Promise<FoundTool | undefined> => {
    if (path === undefined) return undefined;
    const text = await runTool(path, ['-version'], { timeoutMs: 10_000 }).catch(() => undefined);
    const version = versionOf(text?.stdout ?? '');
    const origin = env[variable] ? variable : path === ffmpegStatic() ? 'ffmpeg-static' : 'PATH';
    const why = variable === 'FFMPEG_BIN' && !env[variable] ? (choose(env)?.why ?? '') : '';
    return version === undefined ? undefined : { path, version, origin, why };
  };
  return { ffmpeg: await describe(paths.ffmpeg, 'FFMPEG_BIN'), ffprobe: await describe(paths.ffprobe, 'FFPROBE_BIN') };
}

/** Cached, because programs do not change while the process runs. */
const chosen = new Map<string, Choice | undefined>();

function choose(env: NodeJS.ProcessEnv): Choice | undefined {
  const found = [
    { path: onPath('ffmpeg', env), origin: 'PATH' },
    { path: ffmpegStatic(), origin: 'ffmpeg-static' },
  ].filter((one): one is Omit<Candidate, 'said'> => one.path !== undefined);
  if (found.length < 2) return chooseFfmpeg(found.map((one) => ({ ...one, said: undefined })));
  const key = found.map(({ path }) => path).join('\0');
  if (!chosen.has(key)) chosen.set(key, chooseFfmpeg(found.map((one) => ({ ...one, said: versionText(one.path) }))));
  return chosen.get(key);
}

function versionText(path: string): string | undefined {
  const { status, stdout } = spawnSync(path, ['-version'], { encoding: 'utf8', timeout: 10_000 });
  return status === 0 ? stdout : undefined;
}

function ffmpegStatic(): string | undefined {
  try {
    const path = createRequire(import.meta.url)('ffmpeg-static') as string | null;
    return path !== null && existsSync(path) ? path : undefined;
  } catch {
    return undefined; // an optional dependency
  }
}

function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  return (env['PATH'] ?? '')
    .split(':')
    .map((folder) => `${folder === '' ? '.' : folder}/${name}`)
    .find((path) => existsSync(path));
}

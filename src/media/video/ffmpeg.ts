import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Readable } from 'node:stream';
import { QalignError } from '../../base/errors.js';

/** What may be opened: no playlists, no ffconcat scripts, no pictures, whatever a file is called. */
const FORMATS = 'mov,matroska,avi,mpegts,mpeg,mpegvideo,gif,h264,hevc,m4v,flv,asf,ogg,ivf,obu,mxf,nut,rm,wtv,dv';
export const GUARDS = ['-v', 'error', '-protocol_whitelist', 'file,pipe', '-format_whitelist', FORMATS] as const;

const STDERR_KEPT = 4000; // characters
/**
 * 128 + ILL, TRAP, ABRT, BUS, FPE, SEGV, as a wrapping shell gives them. Other high codes are ffmpeg's own since 6.1:
 * 183 is "invalid data".
 */
const CRASH_CODES: ReadonlySet<number> = new Set([132, 133, 134, 135, 136, 139]);
const BIGGEST_ANSWER = 64_000_000; // bytes of a probe's output: a million packets' time stamps

export interface FfmpegPaths {
  readonly ffmpeg: string | undefined;
  readonly ffprobe: string | undefined;
}

export interface FoundTool {
  readonly path: string;
  readonly version: string;
  /** `FFMPEG_BIN` or `FFPROBE_BIN`, `ffmpeg-static`, or `PATH`. */
  readonly origin: string;
}

/** FFMPEG_BIN → ffmpeg-static, if its file exists → PATH; FFPROBE_BIN → PATH. */
export function findFfmpeg(env: NodeJS.ProcessEnv = process.env): FfmpegPaths {
  return {
    ffmpeg: env['FFMPEG_BIN'] || ffmpegStatic() || onPath('ffmpeg', env),
    ffprobe: env['FFPROBE_BIN'] || onPath('ffprobe', env),
  };
}

/** @throws QalignError FFMPEG_NOT_FOUND naming the three places */
export function requireFfmpeg(): { ffmpeg: string; ffprobe: string | undefined } {
  const { ffmpeg, ffprobe } = findFfmpeg();
  if (ffmpeg !== undefined) return { ffmpeg, ffprobe };
  throw new QalignError(
    'FFMPEG_NOT_FOUND',
    'No ffmpeg was found for clips: set FFMPEG_BIN, install the npm package ffmpeg-static, or put ffmpeg on PATH (Debian: apt-get install ffmpeg).',
  );
}

/** For `qalign doctor`: where each program is and what version it says it is. */
export async function describeFfmpeg(
  env: NodeJS.ProcessEnv = process.env,
): Promise<Record<'ffmpeg' | 'ffprobe', FoundTool | undefined>> {
  const paths = findFfmpeg(env);
  const describe = async (path: string | undefined, variable: string): Promise<FoundTool | undefined> => {
    if (path === undefined) return undefined;
    const text = await runTool(path, ['-version'], { timeoutMs: 10_000 }).catch(() => undefined);
    const version = /version (\S+)/.exec(text?.stdout ?? '')?.[1];
    const origin = env[variable] ? variable : path === ffmpegStatic() ? 'ffmpeg-static' : 'PATH';
    return version === undefined ? undefined : { path, version, origin };
  };
  return { ffmpeg: await describe(paths.ffmpeg, 'FFMPEG_BIN'), ffprobe: await describe(paths.ffprobe, 'FFPROBE_BIN') };
}

export interface ToolOptions {
  /** Longest silence of the program while it is being read. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** An open file that the program sees as its descriptor 3, so /proc/self/fd/3. */
  readonly fd?: number | undefined;
  /** Characters of stderr to keep. */
  readonly keep?: number | undefined;
}

/** Runs to the end and collects what was said. @throws QalignError FFMPEG_CRASHED, MEDIA_TIMEOUT, CANCELLED */
export async function runTool(
  program: string,
  args: readonly string[],
  options: ToolOptions,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const tool = startTool(program, args, options);
  let stdout = '';
  const stop = stopAfter(tool, options);
  try {
    for await (const chunk of tool.stdout) {
      stdout += (chunk as Buffer).toString('latin1');
      if (stdout.length > BIGGEST_ANSWER)
        throw new QalignError('MEDIA_TOO_LARGE', `${program} said more than ${BIGGEST_ANSWER} bytes about the clip.`);
    }
    const { code, stderr } = await tool.ended;
    stop.check();
    return { code, stdout, stderr };
  } finally {
    stop.release();
    tool.kill();
  }
}

export interface Tool {
  readonly stdout: Readable;
  /** Resolves when the process is gone. @throws QalignError FFMPEG_CRASHED, FFMPEG_NOT_FOUND */
  readonly ended: Promise<{ code: number; stderr: string }>;
  kill(): void;
}

/** One process, stdin closed, stdout a pipe: when the reader is gone, however, its next write ends it. */
export function startTool(
  program: string,
  args: readonly string[],
  { fd, keep = STDERR_KEPT }: Pick<ToolOptions, 'fd' | 'keep'> = {},
): Tool {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe', ...(fd === undefined ? [] : [fd])],
  }) as ChildProcessByStdio<null, Readable, Readable>;
  let stderr = '';
  let killed = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, keep);
  });
  const ended = new Promise<{ code: number; stderr: string }>((resolve, reject) => {
    child.on('error', (error) =>
      reject(
        new QalignError(
          'FFMPEG_NOT_FOUND',
          `${program} could not be started (${error.message}); set FFMPEG_BIN and FFPROBE_BIN to working programs.`,
        ),
      ),
    );
    child.on('close', (code, signal) => {
      const crashed = (signal !== null && !killed) || CRASH_CODES.has(code ?? 0);
      if (crashed)
        reject(
          new QalignError(
            'FFMPEG_CRASHED',
            `${program} crashed (${signal ?? `exit code ${code}`}) on this clip; set FFMPEG_BIN to another build, such as the one of your distribution.`,
          ),
        );
      else resolve({ code: code ?? -1, stderr });
    });
  });
  ended.catch(() => {}); // whoever waits for it sees it; nobody else should be ended by it
  return {
    stdout: child.stdout,
    ended,
    kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      killed = true;
      child.stdout.destroy();
      child.kill('SIGKILL');
    },
  };
}

/**
 * Kills the tool on abort and when `touch` was not called for `timeoutMs`; `check` throws why. `hold` stops the clock
 * while our own reader takes its time: then the tool waits for us, not we for it.
 */
export function stopAfter(
  tool: Tool,
  { timeoutMs, signal }: ToolOptions,
): { touch(): void; hold(): void; check(): void; release(): void } {
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  const hold = (): void => clearTimeout(timer);
  const touch = (): void => {
    hold();
    timer = setTimeout(() => {
      late = true;
      tool.kill();
    }, timeoutMs);
  };
  const onAbort = (): void => tool.kill();
  touch();
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return {
    touch,
    hold,
    check() {
      if (signal?.aborted === true) throw new QalignError('CANCELLED', 'Decoding the clip was cancelled.');
      if (late)
        throw new QalignError(
          'MEDIA_TIMEOUT',
          `ffmpeg gave nothing for ${timeoutMs / 1000} s and was ended; the clip may be damaged, or raise the time limit.`,
        );
    },
    release() {
      hold();
      signal?.removeEventListener('abort', onAbort);
    },
  };
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

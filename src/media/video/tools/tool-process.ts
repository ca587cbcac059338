import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { QalignError } from '../../../base/errors.js';
import { limitedCommand, requireWithinLimits, type ToolLimits } from './tool-limits.js';

const STDERR_KEPT = 4000; // characters
/**
 * Exit codes of a shell for ILL, TRAP, ABRT, BUS, FPE and SEGV: 128 + signal. Since 6.1, ffmpeg returns other high
 * codes itself: 183 is "invalid data".
 */
const CRASH_CODES: ReadonlySet<number> = new Set([132, 133, 134, 135, 136, 139]);
/** Exit codes of a shell that cannot start the program. */
const SHELL_NOT_STARTED: ReadonlySet<number> = new Set([126, 127]);
const BIGGEST_ANSWER = 64_000_000; // bytes of an output that is kept in memory
const LONGEST_LINE = 100_000; // characters; the rest of the line is dropped

export interface ToolOptions extends ToolLimits {
  /** Longest time without output while the program is being read. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** An open file that the program gets as descriptor 3, /proc/self/fd/3. */
  readonly fd?: number | undefined;
  /** Characters of stderr to keep. */
  readonly keep?: number | undefined;
}

/**
 * Runs a program to its end and returns its output. @throws QalignError FFMPEG_CRASHED, MEDIA_TIMEOUT, MEDIA_TOO_LARGE,
 * CANCELLED
 */
export async function runTool(
  program: string,
  args: readonly string[],
  options: ToolOptions,
): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  const ended = await readTool(program, args, options, (text) => {
    stdout += text;
    if (stdout.length > BIGGEST_ANSWER)
      throw new QalignError(
        'MEDIA_TOO_LARGE',
        `${program} printed more than ${BIGGEST_ANSWER} bytes about the clip; make the clip shorter.`,
      );
  });
  return { ...ended, stdout };
}

/** Runs a program to its end and passes each output line to `onLine` without keeping it. @throws as runTool */
export async function runToolLines(
  program: string,
  args: readonly string[],
  options: ToolOptions,
  onLine: (line: string) => void,
): Promise<{ code: number; stderr: string }> {
  const lines = createLines(onLine);
  const ended = await readTool(program, args, options, lines.add);
  lines.end();
  return ended;
}

async function readTool(
  program: string,
  args: readonly string[],
  options: ToolOptions,
  onText: (text: string) => void,
): Promise<{ code: number; stderr: string }> {
  const tool = startTool(program, args, options);
  const stop = stopAfter(tool, options);
  try {
    for await (const chunk of tool.stdout) {
      stop.touch();
      onText((chunk as Buffer).toString('latin1'));
    }
    const ended = await tool.ended;
    stop.check();
    requireWithinLimits(ended.stderr, options);
    return ended;
  } finally {
    stop.release();
    tool.kill();
  }
}

/** Splits text into lines of at most LONGEST_LINE characters. */
function createLines(onLine: (line: string) => void): {
  readonly add: (text: string) => void;
  readonly end: () => void;
} {
  let rest = '';
  return {
    add(text) {
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(0, LONGEST_LINE);
      for (const line of lines) onLine(line);
    },
    end() {
      if (rest !== '') onLine(rest);
    },
  };
}

export interface Tool {
  readonly stdout: Readable;
  /** Resolves when the process has ended. @throws QalignError FFMPEG_CRASHED, FFMPEG_NOT_FOUND */
  readonly ended: Promise<{ code: number; stderr: string }>;
  /** The beginning of its messages so far. */
  readonly said: () => string;
  kill(): void;
}

/** Options of starting a program, apart from its arguments. */
export interface StartOptions extends Pick<ToolOptions, 'fd' | 'keep' | 'maxMemory'> {
  /** Called for each line of stderr. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Called after the last line of stderr. */
  readonly onLinesEnd?: (() => void) | undefined;
  /** Text that the program reads from its descriptor 4. */
  readonly script?: string | undefined;
}

/**
 * Starts one process with closed stdin and a pipe as stdout. If the reader is gone, the next write ends the process.
 */
export function startTool(
  program: string,
  args: readonly string[],
  { fd, keep = STDERR_KEPT, onLine, onLinesEnd, script, maxMemory }: StartOptions = {},
): Tool {
  const [command, given] = limitedCommand(program, args, { maxMemory });
  const child = spawn(command, given, {
    stdio: ['ignore', 'pipe', 'pipe', fd ?? 'ignore', script === undefined ? 'ignore' : 'pipe'],
  });
  const stdout = child.stdout as Readable;
  const lines = onLine === undefined ? undefined : createLines(onLine);
  let stderr = '';
  let killed = false;
  (child.stderr as Readable)
    .setEncoding('utf8')
    .on('data', (text: string) => {
      if (stderr.length < keep) stderr = (stderr + text).slice(0, keep);
      lines?.add(text);
    })
    .on('close', () => {
      lines?.end();
      onLinesEnd?.();
    });
  // errors are ignored: the exit code reports the failure better
  if (script !== undefined) (child.stdio[4] as Writable).on('error', () => {}).end(script);
  const ended = new Promise<{ code: number; stderr: string }>((resolve, reject) => {
    const notStarted = (why: string): void =>
      reject(
        new QalignError(
          'FFMPEG_NOT_FOUND',
          `${program} cannot be started (${why}); set FFMPEG_BIN and FFPROBE_BIN to working programs.`,
        ),
      );
    child.on('error', (error) => notStarted(error.message));
    child.on('close', (code, signal) => {
      if (command !== program && SHELL_NOT_STARTED.has(code ?? 0)) notStarted(stderr.trim());
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
  ended.catch(() => {}); // callers that await it get the error; for others it must not be an unhandled rejection
  return {
    stdout,
    ended,
    said: () => stderr,
    kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      killed = true;
      stdout.destroy();
      child.kill('SIGKILL');
    },
  };
}

/**
 * Kills the tool on abort, or if `touch` was not called for `timeoutMs`. `check` throws the reason. `hold` stops the
 * clock while the caller processes the output, until `resume`. During that time the tool waits for the caller.
 */
export function stopAfter(
  tool: Tool,
  { timeoutMs, signal }: ToolOptions,
): Readonly<Record<'touch' | 'hold' | 'resume' | 'check' | 'release', () => void>> {
  let late = false;
  let held = false;
  let lastSign = Date.now();
  let timer: NodeJS.Timeout | undefined;
  // one timer checks the last activity, because setting a timer per line would cost more than reading the line
  const watch = (wait: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const left = lastSign + timeoutMs - Date.now();
      if (left > 0) return watch(left);
      late = true;
      tool.kill();
    }, wait);
  };
  const onAbort = (): void => tool.kill();
  const resume = (): void => {
    held = false;
    lastSign = Date.now();
    watch(timeoutMs);
  };
  resume();
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return {
    resume,
    touch() {
      if (!held) lastSign = Date.now();
    },
    hold() {
      held = true;
      clearTimeout(timer);
    },
    check() {
      if (signal?.aborted === true) throw new QalignError('CANCELLED', 'Decoding the clip was cancelled.');
      if (late)
        throw new QalignError(
          'MEDIA_TIMEOUT',
          `ffmpeg returned no output for ${timeoutMs / 1000} s and was stopped; check the clip for damage, or raise the time limit.`,
        );
    },
    release() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}

import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';

/** How to start Python so that `-m qalign.worker` runs. */
export interface PythonStart {
  readonly executable: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface WorkerProcess {
  readonly pid: number | undefined;
  /** Resolves with a description once the process has ended. Never rejects. */
  readonly exited: Promise<string>;
  /** It has nothing to finish between requests, so it can be killed then. */
  readonly isDisposable?: boolean;
  /** The worker has sent its last message. */
  saidBye(): void;
  kill(): void;
}

/** A worker on another host. It cannot be killed from here, only released. */
export function distantProcess(): WorkerProcess {
  let letGo!: (how: string) => void;
  const exited = new Promise<string>((resolve) => (letGo = resolve));
  return { pid: undefined, exited, saidBye: () => letGo('it sent bye'), kill: () => letGo('it was released') };
}

/** The Python module of a worker. */
export const WORKER = 'qalign.worker';

const STDERR_KEPT = 8_000; // characters: enough for the end of a traceback

export interface WorkerStart {
  readonly python: PythonStart;
  readonly endpoint: string;
  readonly identity: string;
  readonly token: string;
  readonly device: string;
  /** The module to run: qalign.worker, or a faulty one in a test. */
  readonly module: string;
  /** Called for each line of stderr, such as tracebacks of Python and warnings of libraries. */
  readonly onStderr: (line: string) => void;
}

/** Starts one worker. Its stdin stays open while this process lives. When stdin closes, the worker ends. */
export function startWorkerProcess(start: WorkerStart): WorkerProcess {
  const { module, endpoint, identity, device, token } = start;
  const place = ['--connect', endpoint, '--identity', identity, '--device', device];
  const child = launch(start.python, ['-m', module, ...place]);
  // the token is sent over stdin, because every user of the host can read a command line
  child.stdin.write(`${token}\n`);
  return watch(child, collectStderr(child), start.onStderr);
}

/** A worker process that imports its packages and waits for its bridge. It does not keep this process alive. */
export interface WaitingProcess {
  readonly python: PythonStart;
  /** Makes it the worker of a start. Undefined if it has ended, is taken, or cannot be that worker. */
  adopt(start: WorkerStart): WorkerProcess | undefined;
  /** Kills it, unless it was adopted. */
  end(): void;
}

/** Starts a worker process before the bridge, the model and the device are known. */
export function startWaitingProcess(python: PythonStart): WaitingProcess {
  const child = launch(python, ['-m', WORKER, '--connect', '-']);
  const output = collectStderr(child);
  const handles = [child, child.stdin, child.stderr] as unknown as { ref(): void; unref(): void }[];
  for (const handle of handles) handle.unref();
  let isFree = true;
  child.once('exit', () => (isFree = false));
  child.once('error', () => (isFree = false));
  return {
    python,
    adopt(start) {
      const { endpoint, identity, device, token } = start;
      const fits = start.module === WORKER && isSame(start.python, python);
      if (!isFree || !fits) return undefined;
      isFree = false;
      for (const handle of handles) handle.ref();
      child.stdin.write(`${JSON.stringify({ endpoint, identity, device })}\n${token}\n`);
      return watch(child, output, start.onStderr);
    },
    end() {
      if (isFree) child.kill('SIGKILL');
      isFree = false;
    },
  };
}

const isSame = (one: PythonStart, other: PythonStart): boolean =>
  one.executable === other.executable && JSON.stringify(one.env) === JSON.stringify(other.env);

function launch(
  { executable, env }: PythonStart,
  args: readonly string[],
): ChildProcessByStdio<Writable, null, Readable> {
  const child = spawn(executable, args, { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, ...env } });
  child.stdin.on('error', () => {});
  child.on('error', () => {}); // `watch` reports it
  return child;
}

function watch(child: ChildProcess, output: Output, onStderr: (line: string) => void): WorkerProcess {
  output.follow(onStderr);
  const exited = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`it failed to start (${error.message})`));
    child.on('close', (code, signal) => resolve(describeExit(code, signal, output.tail())));
  });
  return { pid: child.pid, exited, isDisposable: true, saidBye: () => {}, kill: () => void child.kill('SIGKILL') };
}

/** The stderr of a worker: its lines, and its last characters. */
interface Output {
  follow(onLine: (line: string) => void): void;
  tail(): string;
}

function collectStderr(child: ChildProcess): Output {
  const early: string[] = [];
  let onLine = (line: string): void => void early.push(line);
  let kept = '';
  let open = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    kept = (kept + text).slice(-STDERR_KEPT);
    const lines = (open + text).split('\n');
    open = (lines.pop() ?? '').slice(-STDERR_KEPT);
    for (const line of lines) if (line.trim() !== '') onLine(line);
  });
  return {
    follow(listener) {
      onLine = listener;
      for (const line of early.splice(0)) listener(line);
    },
    tail: () => kept,
  };
}

function describeExit(code: number | null, signal: NodeJS.Signals | null, stderr: string): string {
  const lines = stderr.trim().split('\n');
  const last = lines.at(-1)?.trim() ?? '';
  const why = last === '' ? '' : `: ${last}`;
  if (signal !== null)
    return `it was killed by ${signal} (${constants.signals[signal]})${signal === 'SIGKILL' ? ', possibly by the kernel because memory ran out' : why}`;
  return `it exited with code ${code}${why}`;
}

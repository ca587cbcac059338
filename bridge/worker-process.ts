import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

/** How to start Python so that `-m qalign.worker` runs. */
export interface PythonStart {
  readonly executable: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface WorkerProcess {
  readonly pid: number | undefined;
  /** Resolves with one sentence once the process is gone; never rejects. */
  readonly exited: Promise<string>;
  /** It has nothing more to say. */
  saidBye(): void;
  kill(): void;
}

/** A worker of another host: it cannot be killed from here, only be released. */
export function distantProcess(): WorkerProcess {
  let letGo!: (how: string) => void;
  const exited = new Promise<string>((resolve) => (letGo = resolve));
  return { pid: undefined, exited, saidBye: () => letGo('it said bye'), kill: () => letGo('it was let go') };
}

const STDERR_KEPT = 8_000; // characters: enough for a traceback's end

export interface WorkerStart {
  readonly python: PythonStart;
  readonly endpoint: string;
  readonly identity: string;
  readonly token: string;
  readonly device: string;
  /** The module to run: the worker's own, or a faulty one in a test. */
  readonly module: string;
  /** What the process prints by itself, line by line (Python's own last words, warnings of libraries). */
  readonly onStderr: (line: string) => void;
}

/** Starts one worker. Its stdin stays open as long as this process lives: when it closes, the worker ends. */
export function startWorkerProcess(start: WorkerStart): WorkerProcess {
  const args = [
    '-m',
    start.module,
    '--connect',
    start.endpoint,
    '--identity',
    start.identity,
    '--device',
    start.device,
  ];
  const child = spawn(start.python.executable, args, {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, ...start.python.env },
  });
  // the token goes over stdin: a command line can be read by every user of the host
  child.stdin.on('error', () => {});
  child.stdin.write(`${start.token}\n`);
  const tail = collectStderr(child, start.onStderr);
  const exited = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`it could not be started (${error.message})`));
    child.on('close', (code, signal) => resolve(describeExit(code, signal, tail())));
  });
  return { pid: child.pid, exited, saidBye: () => {}, kill: () => void child.kill('SIGKILL') };
}

function collectStderr(child: ChildProcess, onLine: (line: string) => void): () => string {
  let kept = '';
  let open = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    kept = (kept + text).slice(-STDERR_KEPT);
    const lines = (open + text).split('\n');
    open = (lines.pop() ?? '').slice(-STDERR_KEPT);
    for (const line of lines) if (line.trim() !== '') onLine(line);
  });
  return () => kept;
}

function describeExit(code: number | null, signal: NodeJS.Signals | null, stderr: string): string {
  const lines = stderr.trim().split('\n');
  const last = lines.at(-1)?.trim() ?? '';
  const why = last === '' ? '' : `: ${last}`;
  if (signal !== null)
    return `it was ended by ${signal} (${constants.signals[signal]})${signal === 'SIGKILL' ? ', as the kernel does when memory runs out' : why}`;
  return `it exited with code ${code}${why}`;
}

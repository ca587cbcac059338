import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

/** How to start Python so that `-m qalign.worker` runs. */
export interface PythonStart {
  readonly executable: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface WorkerProcess {
  readonly pid: number | undefined;
  /** Resolves with a description once the process has ended. Never rejects. */
  readonly exited: Promise<string>;
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
  // the token is sent over stdin, because every user of the host can read a command line
  child.stdin.on('error', () => {});
  child.stdin.write(`${start.token}\n`);
  const tail = collectStderr(child, start.onStderr);
  const exited = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`it failed to start (${error.message})`));
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
    return `it was killed by ${signal} (${constants.signals[signal]})${signal === 'SIGKILL' ? ', possibly by the kernel because memory ran out' : why}`;
  return `it exited with code ${code}${why}`;
}

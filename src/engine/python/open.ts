import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { QalignError } from '../../base/errors.js';
import { ensurePython, type PythonCommand, type PythonEnvOptions, type PythonExtra } from './environment.js';
import { fromPlain, toPlain } from './values.js';

/** Optional packages and cancellation of `openPython`. */
export interface OpenPythonOptions {
  /**
   * Interpreter and environment.
   * @default QALIGN_PYTHON, else the managed environment
   */
  readonly python?: PythonCommand | undefined;
  /**
   * Optional packages that are installed into the managed environment at first use, in addition to NumPy and PyTorch.
   * With QALIGN_PYTHON, nothing is installed or required by default.
   * @default ['scipy']
   */
  readonly extras?: readonly PythonExtra[] | undefined;
  /** Called with the current installation step, for a progress line. */
  readonly onSetup?: ((message: string) => void) | undefined;
  /** Called with the output of Python as it arrives. Default: the output is dropped. */
  readonly onOutput?: ((text: string) => void) | undefined;
  /** Timeout of a call in milliseconds. After it, Python is killed. Default: none. */
  readonly timeoutMs?: number | undefined;
  /** Ends the start of Python. */
  readonly signal?: AbortSignal | undefined;
}

/** A Python for scripts. One namespace lasts between calls, and `import qalign` works. */
export interface Python extends AsyncDisposable {
  /**
   * Runs statements. `variables` are set first. Values can be anything that JSON supports, NaN and infinities, typed
   * arrays (become lists) and Uint8Array (becomes bytes).
   */
  exec(code: string, variables?: Readonly<Record<string, unknown>>): Promise<void>;
  /**
   * Returns the value of an expression. Arrays and tensors become lists, NaN and infinities numbers, bytes a
   * Uint8Array.
   */
  eval(expression: string, variables?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Process id of the interpreter. */
  readonly pid: number;
  /** Ends the process. */
  close(): Promise<void>;
}

const START_MS = 60_000;

/**
 * Opens a Python for experiments and scripts through pythonia, in a separate process. Scoring uses the workers instead.
 * If that process ends (NaN in an answer, a killed interpreter, a segmentation fault), pending calls fail with
 * WORKER_LOST and the caller continues. Call `close` at the end, or use `await using`.
 *
 * @throws QalignError PYTHON_NOT_FOUND, PYTHON_SETUP_FAILED, WORKER_START_FAILED, CANCELLED
 * @example
 * ```ts
 * await using python = await openPython();
 * await python.exec('import numpy as np');
 * console.log(await python.eval('float(np.mean(x))', { x: [1, 2, 3] })); // 2
 * ```
 */
export async function openPython(options: OpenPythonOptions = {}): Promise<Python> {
  if (options.signal?.aborted === true) throw cancelled();
  const python = options.python ?? (await ensurePython(environmentOf(options)));
  const interpreter = new Interpreter(start(python), options);
  const pid = await interpreter.ready();
  const close = (): Promise<void> => interpreter.close();
  return {
    exec: async (code, variables = {}) => void (await interpreter.call('exec', code, variables)),
    eval: (expression, variables = {}) => interpreter.call('eval', expression, variables),
    pid,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function environmentOf({ extras, signal, onSetup }: OpenPythonOptions): PythonEnvOptions {
  const own = process.env['QALIGN_PYTHON'] ?? '';
  return {
    extras: extras ?? (own === '' ? ['scipy'] : []),
    ...(signal === undefined ? {} : { signal }),
    ...(onSetup === undefined ? {} : { onProgress: onSetup }),
  };
}

/** A message from child.ts: first the process id of the interpreter, then one answer per call. */
interface ChildMessage {
  readonly pid?: number;
  readonly id?: number;
  readonly answer?: string;
}

interface PendingCall {
  readonly resolve: (answer: string) => void;
  readonly reject: (error: QalignError) => void;
}

/** The child process, its interpreter and the pending calls. */
class Interpreter {
  readonly #calls = new Map<number, PendingCall>();
  readonly #started: Promise<number>;
  readonly #exited: Promise<void>;
  #pid: number | undefined;
  #stderr = '';
  #ended: QalignError | undefined;
  #lastId = 0;

  constructor(
    private readonly child: ChildProcess,
    private readonly options: OpenPythonOptions,
  ) {
    const { onOutput, signal } = options;
    const onAbort = (): void => this.#end(cancelled());
    signal?.addEventListener('abort', onAbort, { once: true });
    child.stdout?.on('data', (chunk: Buffer) => onOutput?.(chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.#stderr = (this.#stderr + chunk.toString()).slice(-2000)));
    child.on('error', (cause) => this.#end(startFailed(`did not start: ${cause.message}`, cause)));
    this.#started = new Promise((resolve) => {
      child.on('message', (message: ChildMessage) => this.#onMessage(message, resolve));
    });
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, killedBy) => {
        this.#end(lost(killedBy ?? `code ${code}`, this.#stderr));
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }

  /** Resolves with the process id of the interpreter. @throws QalignError WORKER_START_FAILED, CANCELLED */
  async ready(): Promise<number> {
    const late = (): void =>
      this.#end(startFailed(`did not start within ${START_MS / 1000} s${lastLine(this.#stderr)}`));
    const timer = setTimeout(late, START_MS);
    const exited = this.#exited.then((): never => {
      throw this.#ended?.code === 'CANCELLED'
        ? this.#ended
        : startFailed(`did not start${lastLine(this.#stderr)}`, this.#ended);
    });
    return Promise.race([this.#started, exited]).finally(() => clearTimeout(timer));
  }

  async call(kind: 'exec' | 'eval', code: string, variables: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { value, error, trace } = JSON.parse(await this.#send(kind, code, JSON.stringify(toPlain(variables)))) as {
      value?: unknown;
      error?: string;
      trace?: string;
    };
    if (error !== undefined)
      throw new QalignError('WORKER_INTERNAL', `Python raised ${error}.`, { details: { trace: trace ?? '' } });
    return fromPlain(value);
  }

  async close(): Promise<void> {
    this.#end(new QalignError('BRIDGE_CLOSED', 'Python for scripts was closed.'));
    await this.#exited;
  }

  async #send(kind: 'exec' | 'eval', code: string, variables: string): Promise<string> {
    if (this.#ended !== undefined) throw this.#ended;
    const { timeoutMs } = this.options;
    const late = (): void => this.#end(hung(timeoutMs));
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    const id = this.#lastId++;
    return new Promise<string>((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.child.send({ id, kind, code, variables });
    }).finally(() => clearTimeout(timer));
  }

  #onMessage({ pid, id, answer }: ChildMessage, started: (pid: number) => void): void {
    if (pid !== undefined) started((this.#pid = pid));
    if (id === undefined || answer === undefined) return;
    this.#calls.get(id)?.resolve(answer);
    this.#calls.delete(id);
  }

  /** Fails the pending calls with the first reason, and kills the child and its interpreter. */
  #end(reason: QalignError): void {
    this.#ended ??= reason;
    for (const { reject } of this.#calls.values()) reject(this.#ended);
    this.#calls.clear();
    this.child.kill('SIGKILL');
    killQuietly(this.#pid);
  }
}

function start(python: PythonCommand): ChildProcess {
  const compiled = fileURLToPath(new URL('./child.js', import.meta.url));
  const built = existsSync(compiled);
  const tsx = built ? [] : ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href];
  return fork(built ? compiled : fileURLToPath(new URL('./child.ts', import.meta.url)), [], {
    execArgv: tsx,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...python.env, PYTHON_BIN: python.executable, MPLBACKEND: 'Agg' },
  });
}

const cancelled = (): QalignError => new QalignError('CANCELLED', 'Python for scripts was cancelled.');

const startFailed = (what: string, cause?: unknown): QalignError =>
  new QalignError('WORKER_START_FAILED', `Python for scripts ${what}.`, { cause });

const lost = (how: string, stderr: string): QalignError =>
  new QalignError('WORKER_LOST', `Python for scripts ended (${how})${lastLine(stderr)}; open a new one.`);

const hung = (timeoutMs: number | undefined): QalignError =>
  new QalignError(
    'WORKER_HUNG',
    `Python for scripts took longer than ${timeoutMs} ms and was killed; raise timeoutMs.`,
  );

/** Kills the interpreter too, because a busy interpreter outlives its parent process. */
function killQuietly(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended already
  }
}

function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  return line === '' ? '' : `: ${line}`;
}

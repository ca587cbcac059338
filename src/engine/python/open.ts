import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { QalignError } from '../../base/errors.js';
import { ensurePython, type PythonCommand } from './environment.js';

export interface OpenPythonOptions {
  readonly python?: PythonCommand | undefined;
  /** What Python prints, as it comes; by default it is dropped. */
  readonly onOutput?: ((text: string) => void) | undefined;
  /** A call may take so long; none by default. After it Python is ended. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A Python for scripts: one namespace that lasts between calls, with `import qalign` working. */
export interface Python extends AsyncDisposable {
  /**
   * Runs statements. `variables` are set first: what JSON holds, NaN and infinities, typed arrays (as lists) and
   * Uint8Array (as bytes).
   */
  exec(code: string, variables?: Readonly<Record<string, unknown>>): Promise<void>;
  /** The value of an expression: arrays and tensors become lists, NaN and infinities numbers, bytes a Uint8Array. */
  eval(expression: string, variables?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Process id of the interpreter. */
  readonly pid: number;
  close(): Promise<void>;
}

const START_MS = 60_000;

/**
 * Opens a Python through pythonia, which runs in a process of its own: whatever ends that (NaN in an answer, a killed
 * interpreter, a segmentation fault) fails the calls under way with WORKER_LOST and leaves the caller alone.
 * For experiments and scripts; scoring goes through the workers. Close it, or say `await using`.
 *
 * @throws QalignError PYTHON_NOT_FOUND, PYTHON_SETUP_FAILED, WORKER_START_FAILED, CANCELLED
 */
export async function openPython(options: OpenPythonOptions = {}): Promise<Python> {
  if (options.signal?.aborted === true) throw cancelled();
  const python = options.python ?? (await ensurePython(options.signal === undefined ? {} : { signal: options.signal }));
  const child = start(python);
  const calls = new Map<
    number,
    { readonly resolve: (answer: string) => void; readonly reject: (error: QalignError) => void }
  >();
  let pid: number | undefined;
  let stderr = '';
  let ended: QalignError | undefined;
  let number = 0;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = (reason: QalignError): void => {
    ended ??= reason;
    for (const { reject } of calls.values()) reject(ended);
    calls.clear();
    child.kill('SIGKILL');
    killQuietly(pid);
  };
  child.stdout?.on('data', (chunk: Buffer) => options.onOutput?.(chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-2000)));
  child.on('error', (cause) =>
    end(new QalignError('WORKER_START_FAILED', `Python for scripts did not start: ${cause.message}.`, { cause })),
  );
  child.once('exit', (code, signal) =>
    end(
      new QalignError(
        'WORKER_LOST',
        `Python for scripts ended (${signal ?? `code ${code}`})${lastLine(stderr)}; open another.`,
      ),
    ),
  );
  const onAbort = (): void => end(cancelled());
  options.signal?.addEventListener('abort', onAbort, { once: true });
  child.once('exit', () => options.signal?.removeEventListener('abort', onAbort));

  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () =>
        end(
          new QalignError(
            'WORKER_START_FAILED',
            `Python for scripts did not start within ${START_MS / 1000} s${lastLine(stderr)}.`,
          ),
        ),
      START_MS,
    );
    child.on('message', (message: { pid?: number; id?: number; answer?: string }) => {
      if (message.pid !== undefined) pid = message.pid;
      if (message.pid !== undefined) resolve();
      if (message.id === undefined || message.answer === undefined) return;
      calls.get(message.id)?.resolve(message.answer);
      calls.delete(message.id);
    });
    void exited.then(() =>
      reject(
        ended?.code === 'CANCELLED'
          ? ended
          : new QalignError('WORKER_START_FAILED', `Python for scripts did not start${lastLine(stderr)}.`, {
              cause: ended,
            }),
      ),
    );
    child.once('exit', () => clearTimeout(timer));
    child.once('message', () => clearTimeout(timer));
  });

  async function call(
    kind: 'exec' | 'eval',
    code: string,
    variables: Readonly<Record<string, unknown>>,
  ): Promise<unknown> {
    if (ended !== undefined) throw ended;
    const sent = JSON.stringify(plain(variables));
    const id = number++;
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<string>((resolve, reject) => {
      calls.set(id, { resolve, reject });
      child.send({ id, kind, code, variables: sent });
      if (options.timeoutMs !== undefined)
        timer = setTimeout(
          () =>
            end(
              new QalignError(
                'WORKER_HUNG',
                `Python for scripts took longer than ${options.timeoutMs} ms and was ended.`,
              ),
            ),
          options.timeoutMs,
        );
    }).finally(() => clearTimeout(timer));
    const { value, error, trace } = JSON.parse(answer) as { value?: unknown; error?: string; trace?: string };
    if (error !== undefined)
      throw new QalignError('WORKER_INTERNAL', `Python raised ${error}.`, { details: { trace: trace ?? '' } });
    return revive(value);
  }

  const close = async (): Promise<void> => {
    ended ??= new QalignError('BRIDGE_CLOSED', 'Python for scripts was closed.');
    end(ended);
    await exited;
  };
  return {
    exec: async (code, variables = {}) => void (await call('exec', code, variables)),
    eval: (expression, variables = {}) => call('eval', expression, variables),
    pid: pid!,
    close,
    [Symbol.asyncDispose]: close,
  };
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

/**
 * NaN → {"$float": "nan"}, bytes → {"$bytes": base64}, other typed arrays → lists: JSON would make null and objects of
 * them.
 */
function plain(value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value))
    return { $float: String(value).replace('Infinity', 'inf').replace('NaN', 'nan') };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array)
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  if (ArrayBuffer.isView(value) && Symbol.iterator in value)
    return Array.from(value as unknown as Iterable<unknown>, plain);
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)]));
}

/** The inverse, of what Python says. */
function revive(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(revive);
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]![0] === '$float')
    return { nan: Number.NaN, inf: Infinity, '-inf': -Infinity }[String(entries[0]![1])];
  if (entries.length === 1 && entries[0]![0] === '$bytes')
    return Uint8Array.from(Buffer.from(String(entries[0]![1]), 'base64'));
  return Object.fromEntries(entries.map(([key, entry]) => [key, revive(entry)]));
}

/** A busy interpreter outlives the process that started it. */
function killQuietly(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  } catch {
    // it is gone already
  }
}

function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  return line === '' ? '' : `: ${line}`;
}

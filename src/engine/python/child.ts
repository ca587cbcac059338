/**
 * The child process that runs pythonia, forked by open.ts. If pythonia ends its process, only this process ends.
 * PYTHON_BIN must name the interpreter before pythonia is imported, because the import starts it.
 */
interface Request {
  readonly id: number;
  readonly kind: 'exec' | 'eval';
  readonly code: string;
  readonly variables: string;
}
interface PythonModule {
  run$(kind: string, code: string, variables: string, options: { $timeout: number }): Promise<string>;
}
/** Without a timeout, pythonia ends a call after 100 s. openPython has an option for shorter times. */
const DAY_MS = 86_400_000;

const { python } = (await import('pythonia')) as unknown as {
  python: ((module: string) => Promise<PythonModule>) & { exit(): void };
};
const { proc } = (
  globalThis as unknown as {
    __pythonBridge: {
      com: { proc: { pid: number; once(event: 'exit', listener: () => void): void; kill(signal: string): void } };
    };
  }
).__pythonBridge.com;
const end = (code: number): never => {
  proc.kill('SIGKILL');
  process.exit(code);
};
proc.once('exit', () => process.exit(70));
process.once('disconnect', () => end(0)); // the parent process is gone

// one call at a time, because pythonia mixes up concurrent calls
let last = Promise.resolve();
process.on('message', (message: Request) => void (last = last.then(() => answer(message))));

async function answer({ id, kind, code, variables }: Request): Promise<void> {
  try {
    const scripting = await python('qalign.scripting');
    process.send?.({ id, answer: await scripting.run$(kind, code, variables, { $timeout: DAY_MS }) });
  } catch (error) {
    process.send?.({ id, answer: JSON.stringify({ error: String(error), trace: '' }) });
  }
}

process.send?.({ pid: proc.pid });

import { spawn } from 'node:child_process';

/** Computes without end; ends by itself when its parent is gone, also where that was killed. */
const BUSY = 'const parent = process.ppid; while (process.ppid === parent) for (let i = 0; i < 1e6; i++);';

/** Starts processes that take a core each, as other programs of a shared machine do. */
export function startBusyProcesses(count: number): { stop(): void } {
  const processes = Array.from({ length: count }, () => spawn(process.execPath, ['-e', BUSY], { stdio: 'ignore' }));
  return {
    stop: () => {
      for (const one of processes) one.kill('SIGKILL');
    },
  };
}

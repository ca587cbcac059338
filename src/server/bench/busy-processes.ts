import { spawn } from 'node:child_process';

/** Computes until its parent process ends, also if the parent is killed. */
const BUSY = 'const parent = process.ppid; while (process.ppid === parent) for (let i = 0; i < 1e6; i++);';

/** Starts processes that use one core each, like other programs of a shared machine. */
export function startBusyProcesses(count: number): { stop(): void } {
  const processes = Array.from({ length: count }, () => spawn(process.execPath, ['-e', BUSY], { stdio: 'ignore' }));
  return {
    stop: () => {
      for (const one of processes) one.kill('SIGKILL');
    },
  };
}

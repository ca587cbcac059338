import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isAlive } from '../../../../bridge/process.js';

/** A running process. */
export interface Process {
  readonly pid: number;
  readonly group: number;
  /** Words of the command line. */
  readonly words: readonly string[];
}

/** The running processes that a test accepts. Those that end meanwhile are left out. */
export function processes(accepts: (process: Process) => boolean): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? [])
    .filter((process) => isAlive(process.pid) && accepts(process));
}

function readProcess(pid: number): Process | undefined {
  try {
    // the second field can contain spaces and brackets
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .filter((word) => word !== '');
    return { pid, group: Number(fields[2]), words };
  } catch {
    return undefined;
  }
}

/** Whether the working folder of a process is below a folder. */
export function worksBelow(pid: number, folder: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
  } catch {
    return false;
  }
}

/** Waits until `isTrue`. @throws Error after `ms` milliseconds */
export async function until(what: string, isTrue: () => boolean, ms: number): Promise<void> {
  const start = performance.now();
  while (!isTrue()) {
    if (performance.now() - start > ms) throw new Error(`${what}: not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

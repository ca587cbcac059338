import { readFileSync, readlinkSync } from 'node:fs';

/** Whether there is a process `pid`, ours or not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
/**
 * When the process began, in the kernel's ticks: tells a process from a later one with the same pid. Empty if it is
 * gone.
 */
export function startOf(pid: number): string {
  try {
    // the second field may hold spaces and brackets: count from the last bracket
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19] ?? '';
  } catch {
    return isAlive(pid) ? 'alive' : '';
  }
}

/** The PID namespace of this process (Linux): in another one its pids belong to other processes, or to none. */
export const pidNamespace: string = readPidNamespace();

function readPidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '');
  } catch {
    return '';
  }
}

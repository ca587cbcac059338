import { readFileSync, readlinkSync } from 'node:fs';

/** Returns true if the process `pid` exists, of this user or another. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
/**
 * Returns the start time of the process in kernel ticks, which distinguishes it from a later process with the same pid.
 * Empty if the process has ended.
 */
export function startOf(pid: number): string {
  try {
    // the second field can contain spaces and brackets, so fields are counted from the last bracket
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

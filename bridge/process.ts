import { readFileSync, readlinkSync } from 'node:fs';

/** Returns true if the process `pid` runs, of this user or another. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return !hasEnded(statOf(pid));
}

/** Fields of /proc/PID/stat from the state on; empty without /proc. */
function statOf(pid: number): readonly string[] {
  try {
    // the second field can contain spaces and brackets, so fields are counted from the last bracket
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  } catch {
    return [];
  }
}

/** An ended process stays in the table until its parent asks for its status, in a container often for ever. */
const hasEnded = ([state = '']: readonly string[]): boolean => state === 'Z' || state === 'X';

/**
 * Returns the start time of the process in kernel ticks, which distinguishes it from a later process with the same pid.
 * Empty if the process has ended.
 */
export function startOf(pid: number): string {
  const fields = statOf(pid);
  if (hasEnded(fields)) return '';
  return fields[19] ?? (isAlive(pid) ? 'alive' : '');
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

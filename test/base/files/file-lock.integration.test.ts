import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withFileLock } from '../../../src/base/files/file-lock.js';
import { packageRoot } from '../../../src/base/package-root.js';

let folder: string;
let lock: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
  lock = join(folder, 'a.lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

/**
 * Another Node process that reads and writes a counter under the lock, `times` times, with a pause in between. With
 * `forever` it holds the lock until it is killed.
 */
function other(times: number, forever = false): ReturnType<typeof spawn> {
  const script = `
    import { readFileSync, writeFileSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { withFileLock } from ${JSON.stringify(join(packageRoot, 'src/base/files/file-lock.ts'))};
    for (let i = 0; i < ${times}; i++) await withFileLock(${JSON.stringify(lock)}, async () => {
      const count = Number(readFileSync(${JSON.stringify(join(folder, 'count'))}, 'utf8'));
      console.log('held');
      await sleep(${forever ? 60_000 : 5});
      writeFileSync(${JSON.stringify(join(folder, 'count'))}, String(count + 1));
    });`;
  const path = join(folder, `other-${Math.random()}.mts`);
  writeFileSync(path, script);
  return spawn(process.execPath, ['--import', import.meta.resolve('tsx'), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
const ended = (child: ReturnType<typeof spawn>): Promise<number | null> =>
  new Promise((resolve) => child.on('close', resolve));

describe('withFileLock', () => {
  it('lets one process in at a time', async () => {
    writeFileSync(join(folder, 'count'), '0');
    expect(await Promise.all([other(5), other(5), other(5)].map(ended))).toEqual([0, 0, 0]);
    expect(readFileSync(join(folder, 'count'), 'utf8')).toBe('15');
    expect(readdirSync(folder).filter((name) => name.includes('lock'))).toEqual([]);
  });

  it('removes files of a process that was killed while taking the lock', async () => {
    const left = ['a.lock.4194305-1-0123ab.part', 'a.lock.4194305.part'];
    for (const name of [...left, 'b.lock.4194305.part']) writeFileSync(join(folder, name), '{}');
    await withFileLock(lock, async () => expect(readdirSync(folder)).toEqual(['a.lock', 'b.lock.4194305.part']));
  });

  it('breaks the lock of a process that was killed', async () => {
    writeFileSync(join(folder, 'count'), '0');
    const child = other(1, true);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGKILL');
    await ended(child);
    expect(existsSync(lock)).toBe(true);
    expect(await withFileLock(lock, async () => 'mine')).toBe('mine');
  });

  it('breaks a foreign lock file, and a lock that a later process with the same pid did not write', async () => {
    writeFileSync(lock, 'half a fi');
    expect(await withFileLock(lock, async () => 1)).toBe(1);
    writeFileSync(lock, JSON.stringify({ pid: process.pid, started: '1', host: hostname(), token: 'x' }));
    expect(await withFileLock(lock, async () => 2)).toBe(2);
  });

  it('takes no pid of another PID namespace for dead, and breaks such a lock only when its holder is silent', async () => {
    const holder = { pid: 4_194_305, started: '1', host: hostname(), namespace: '1', token: 'x' };
    writeFileSync(lock, JSON.stringify(holder));
    const stop = new AbortController();
    const waits = withFileLock(lock, async () => 'never', { signal: stop.signal, onWait: () => stop.abort() });
    await expect(waits).rejects.toThrow();
    expect(JSON.parse(readFileSync(lock, 'utf8'))).toEqual(holder);
    utimesSync(lock, 1, 1);
    expect(await withFileLock(lock, async () => 'mine')).toBe('mine');
  });

  it('waits for a living process, reports which one, and can be cancelled', async () => {
    await withFileLock(lock, async () => {
      const stop = new AbortController();
      const waits = withFileLock(lock, async () => 'never', {
        signal: stop.signal,
        onWait: (pid) => stop.abort(new Error(`waited for ${pid}`)),
      });
      await expect(waits).rejects.toThrow();
      expect((stop.signal.reason as Error).message).toBe(`waited for ${process.pid}`);
    });
    expect(existsSync(lock)).toBe(false);
  });

  it('fails where there is a lock that cannot be read, instead of trying without end', async () => {
    mkdirSync(lock);
    await expect(withFileLock(lock, async () => 'never')).rejects.toMatchObject({ code: 'EISDIR' });
  });

  it('is released when the work fails', async () => {
    await expect(withFileLock(lock, async () => Promise.reject(new Error('work')))).rejects.toThrow('work');
    expect(existsSync(lock)).toBe(false);
  });
});

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ensurePython } from '../../src/engine/python/environment.js';
import { packageRoot } from '../../src/base/package-root.js';

// the whole command in its own process, as a shell runs it
const picture = join(packageRoot, 'test/fixtures/pictures/pristine.jpg');
const folder = mkdtempSync(join(tmpdir(), 'cli-'));
afterAll(() => rmSync(folder, { recursive: true }));
const python = await ensurePython();

function qalign(...args: string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, ['--import', 'tsx', join(packageRoot, 'src/cli/main.ts'), ...args], {
    cwd: packageRoot,
    env: { ...process.env, TMPDIR: folder, QALIGN_PYTHON: python.executable, OMP_NUM_THREADS: '1' },
  });
}
const ended = (child: ChildProcessWithoutNullStreams): Promise<number | string> =>
  new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code ?? -1)));
const firstLine = (child: ChildProcessWithoutNullStreams): Promise<void> =>
  new Promise((resolve) => child.stdout.once('data', () => resolve()));
const leftovers = (): string[] => readdirSync(folder).filter((name) => name.startsWith('qalign-'));
/** Processes whose parent is `pid`, from /proc. */
const childrenOf = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((word) => word !== '');
const isAlive = (pid: string): boolean => {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
};
/** Endless different names, as a slow `find` would print them; ends with the reader. */
function feed(child: ChildProcessWithoutNullStreams): void {
  let number = 0;
  const names = (): string => Array.from({ length: 100 }, () => `${folder}/${number++}.jpg\n`).join('');
  child.stdin.on('error', () => {});
  const more = (): void => {
    while (child.stdin.writable && child.stdin.write(names()));
  };
  child.stdin.write(`${picture}\n`);
  child.stdin.on('drain', more);
  more();
}

describe('qalign score as a process', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('%s during scoring ends it and its child processes', async (signal) => {
    const child = qalign('score', '-', '--model', 'tiny-untrained');
    const code = ended(child);
    feed(child);
    await firstLine(child);
    const workers = childrenOf(child.pid as number);
    expect(workers.length).toBeGreaterThan(0);
    child.stdout.resume();
    child.kill(signal);
    expect(await code).toBe(130);
    await expect.poll(() => workers.filter(isAlive), { timeout: 10_000 }).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it('Ctrl-C while it waits for names on stdin ends it', async () => {
    const child = qalign('score', '-', '--model', 'tiny-untrained');
    const code = ended(child);
    child.stdin.write(`${picture}\n`);
    await firstLine(child);
    child.kill('SIGINT');
    expect(await code).toBe(130);
    expect(leftovers()).toEqual([]);
  });

  it('exits with 141, without a message, when its reader closes the pipe', async () => {
    const child = qalign('score', '-', '--model', 'tiny-untrained');
    const code = ended(child);
    let said = '';
    child.stderr.on('data', (text: Buffer) => (said += text.toString()));
    feed(child);
    await firstLine(child);
    child.stdout.destroy();
    expect(await code).toBe(141);
    expect(said).not.toMatch(/EPIPE|bug|Error/);
    expect(leftovers()).toEqual([]);
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isAlive, startOf } from '../../bridge/process.js';
import { requireIdle } from '../../src/recipes/train/launch.js';

it('takes a process that has ended for dead, although its parent never asks for its status', async () => {
  const parent = spawn('/bin/sh', ['-c', 'sleep 0.5 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const folder = await mkdtemp(join(tmpdir(), 'qalign-ended-'));
  try {
    const [said] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(said);
    const started = startOf(pid);
    expect([isAlive(pid), isAlive(process.pid), isAlive(4_194_305)]).toEqual([true, true, false]);
    await writeFile(join(folder, 'pid'), `${pid} ${started}`);
    await expect.poll(() => isAlive(pid), { timeout: 5_000 }).toBe(false);
    expect(startOf(pid)).toBe('');
    process.kill(pid, 0); // it is still in the table
    await requireIdle(folder);
  } finally {
    parent.kill('SIGKILL');
    await rm(folder, { recursive: true });
  }
});

import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { awaitOrphans, launch, requireIdle } from '../../../src/recipes/train/launch.js';
import { activePid, writePid } from '../../../src/runs/run-directory.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-launch-'));
  await writeFile(
    join(folder, 'recipe.json'),
    JSON.stringify({ name: 'x', processes: 1, hosts: 1, rendezvous: null, device: 'cpu' }),
  );
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A fake torchrun that records its environment and the run directory, and fails. */
async function fakePython(): Promise<{ executable: string; env: Record<string, string>; root: string }> {
  const executable = join(folder, 'python');
  await writeFile(
    executable,
    `#!/bin/sh\nuntil [ -f "${folder}/pid" ]; do sleep 0.05; done\ncp "${folder}/pid" "${folder}/seen-pid"\nenv > "${folder}/seen-env"\nexit 1\n`,
  );
  await chmod(executable, 0o755);
  return { executable, env: {}, root: folder };
}

describe('launch', () => {
  it('is active before Python starts, allows time for a checkpoint at the end, and removes a failed start', async () => {
    await writeFile(join(folder, 'stop'), '');
    await expect(launch(folder, await fakePython())).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(await readFile(join(folder, 'seen-pid'), 'utf8')).toMatch(/^\d+ \S+$/);
    expect(await readFile(join(folder, 'seen-env'), 'utf8')).toContain('TORCH_ELASTIC_SHUTDOWN_TIMEOUT=3600');
    for (const name of ['pid', 'pid.lock', 'stop']) expect(existsSync(join(folder, name)), name).toBe(false);
  }, 60_000);

  it('does not change a run that another process trains, nor its stop request', async () => {
    writePid(folder, process.pid);
    await writeFile(join(folder, 'stop'), '');
    await expect(launch(folder, await fakePython())).rejects.toMatchObject({ code: 'RUN_ACTIVE' });
    expect(existsSync(join(folder, 'stop'))).toBe(true);
    expect(await activePid(folder)).toBe(process.pid);
  });

  it('waits for trainers whose parent was killed, not for those of a living one', async () => {
    const gone = Number(execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }));
    const trainer = (parent: number): number => {
      const child = spawn('sleep', ['2'], { env: { ...process.env, QALIGN_PARENT_PID: String(parent) } });
      writePid(folder, child.pid ?? 0);
      return child.pid ?? 0;
    };
    const told: number[] = [];
    const orphan = trainer(gone);
    await expect(requireIdle(folder)).rejects.toMatchObject({ message: expect.stringMatching(/has exited/) as string });
    await awaitOrphans(folder, { limitMs: 300, onWait: (pid) => told.push(pid) });
    expect(await activePid(folder)).toBe(orphan);
    await awaitOrphans(folder, { onWait: (pid) => told.push(pid) });
    expect(told).toEqual([orphan, orphan]);
    expect(await activePid(folder)).toBeUndefined();
    trainer(process.pid);
    await awaitOrphans(folder, { onWait: (pid) => told.push(pid) });
    await expect(requireIdle(folder)).rejects.toMatchObject({
      message: expect.stringMatching(/stop it first/) as string,
    });
    expect(told).toHaveLength(2);
  }, 60_000);

  it('does not mistake a later process with the same pid for the trainer', async () => {
    await writeFile(join(folder, 'pid'), `${process.pid} 1`);
    expect(await activePid(folder)).toBeUndefined();
    await writeFile(join(folder, 'pid'), '');
    expect(await activePid(folder)).toBeUndefined();
  });
});

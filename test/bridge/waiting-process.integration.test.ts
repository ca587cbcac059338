import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { openBridge } from '../../bridge/client.js';
import { isAlive } from '../../bridge/process.js';
import { startWaitingProcess, startWorkerProcess, type WorkerStart } from '../../bridge/worker-process.js';
import { ensurePython } from '../../src/engine/python/environment.js';

const python = await ensurePython();
const bridge = await openBridge();
const folder = mkdtempSync(join(tmpdir(), 'waiting-'));
afterAll(async () => {
  await bridge.close();
  rmSync(folder, { recursive: true });
});
const gone = async (pid: number): Promise<boolean> => {
  for (let tries = 0; tries < 50 && isAlive(pid); tries++) await sleep(100);
  return !isAlive(pid);
};

describe('a worker process that waits for its bridge', () => {
  it('becomes one worker, which ends with its link', async () => {
    const waiting = startWaitingProcess(python);
    const pids: (number | undefined)[] = [];
    const start = (asked: WorkerStart) => {
      const adopted = waiting.adopt(asked);
      pids.push(adopted?.pid);
      return adopted ?? startWorkerProcess(asked);
    };
    const link = await bridge.startWorker({ python, device: 'cpu', start });
    expect(pids).toEqual([link.pid]);
    waiting.end(); // it was adopted
    expect(await link.request('unload_model', {})).toEqual({});
    const other = await bridge.startWorker({ python, device: 'cpu', start });
    expect(pids).toEqual([link.pid, undefined]);
    await Promise.all([link.close(), other.close()]);
    expect(isAlive(link.pid!) || isAlive(other.pid!)).toBe(false);
  });

  it('is not taken for another interpreter or another module, and not after its end', async () => {
    const waiting = startWaitingProcess(python);
    const asked = { python, endpoint: 'ipc:///none', identity: 'a', token: 'b', device: 'cpu', onStderr: () => {} };
    const module = 'qalign.worker';
    expect(waiting.adopt({ ...asked, module: 'faulty' })).toBeUndefined();
    expect(waiting.adopt({ ...asked, module, python: { ...python, executable: '/usr/bin/false' } })).toBeUndefined();
    expect(waiting.adopt({ ...asked, module, python: { ...python, env: {} } })).toBeUndefined();
    waiting.end();
    expect(waiting.adopt({ ...asked, module })).toBeUndefined();
  });

  it('reports what it wrote before it was adopted', async () => {
    const executable = join(folder, 'python');
    writeFileSync(executable, '#!/bin/sh\necho early >&2\nread place\nread token\necho "$place $token" >&2\nexit 3\n');
    chmodSync(executable, 0o755);
    const script = { executable, env: {} };
    const waiting = startWaitingProcess(script);
    await sleep(200);
    const asked = { endpoint: 'ipc:///none', identity: 'a', token: 'b', device: 'cpu', module: 'qalign.worker' };
    const lines: string[] = [];
    const adopted = waiting.adopt({ ...asked, python: script, onStderr: (line) => lines.push(line) });
    expect(await adopted?.exited).toBe(
      'it exited with code 3: {"endpoint":"ipc:///none","identity":"a","device":"cpu"} b',
    );
    expect(lines).toEqual(['early', '{"endpoint":"ipc:///none","identity":"a","device":"cpu"} b']);
  });

  it('ends with the process that started it', async () => {
    const code = `import { readFileSync } from 'node:fs';
      import { startWaitingProcess } from '${new URL('../../bridge/worker-process.ts', import.meta.url).href}';
      startWaitingProcess(${JSON.stringify(python)});
      console.log(readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8'));`;
    const ran = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      encoding: 'utf8',
    });
    const pids = ran.stdout.trim().split(' ').map(Number);
    expect(pids.length).toBeGreaterThan(0);
    for (const pid of pids) expect(await gone(pid)).toBe(true);
  });
});

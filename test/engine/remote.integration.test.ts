import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { z85, type HeadKeys } from '../../bridge/keys.js';
import { makeKeyPair, type Listen } from '../../bridge/transport.js';
import { createEngine, type Engine } from '../../src/engine/index.js';
import { ensurePython } from '../../src/engine/python/environment.js';
import { packageRoot } from '../../src/base/package-root.js';

const MODEL = join(packageRoot, 'test/fixtures/golden/tiny_a/model');
const PROMPT = 'USER: How would you rate the quality of this image?\n<|image|>\nASSISTANT: The quality of the image is';
const item = { visuals: [{ frames: 1, data: new Uint8Array(56 * 56 * 3).fill(90) }], prompts: [PROMPT] };
const python = await ensurePython();
const folder = mkdtempSync(join(tmpdir(), 'remote-'));

const open: (Engine | ChildProcess)[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await ('kill' in one ? void one.kill('SIGKILL') : one.close());
});

/** Keys of both sides; `allowed` states whether the worker's key is on the list. */
function makeKeys(allowed = true): { head: HeadKeys; file: string } {
  const [head, worker, stranger] = [makeKeyPair(), makeKeyPair(), makeKeyPair()];
  const file = join(folder, `worker-${Math.random()}.json`);
  writeFileSync(file, JSON.stringify({ ...(allowed ? worker : stranger), server_key: head.public_key }));
  return { head: { ...head, allowed_keys: [worker.public_key] }, file };
}
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.on('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
function startWorker(address: string, keys?: string): ChildProcess {
  const args = ['-m', 'qalign.worker', '--connect', address, ...(keys === undefined ? [] : ['--keys', keys])];
  const child = spawn(python.executable, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...python.env, OMP_NUM_THREADS: '1' },
  });
  open.push(child);
  return child;
}
async function start(listen: Listen, startMs = 60_000): Promise<Engine> {
  const engine = await createEngine({
    python,
    model: MODEL,
    devices: ['remote'],
    precision: 'fp32',
    listen,
    limits: { startMs },
  });
  open.push(engine);
  return engine;
}

describe('a worker of another host', () => {
  it('is accepted by its key, scores, and also serves the next Node', async () => {
    const { head, file } = makeKeys();
    const address = `tcp://127.0.0.1:${await freePort()}`;
    startWorker(address, file); // before Node listens
    const first = await start({ address, keys: head });
    const [answer] = await first.score(item);
    expect(answer?.logits).toHaveLength(5);
    await first.close();
    const second = await start({ address, keys: head });
    expect(await second.score(item)).toEqual([answer]);
  });

  it('can reconnect after it is lost, and its items go to the next', async () => {
    const { head, file } = makeKeys();
    const address = `tcp://127.0.0.1:${await freePort()}`;
    const lost = startWorker(address, file);
    const engine = await start({ address, keys: head });
    await engine.score(item);
    lost.kill('SIGKILL');
    await new Promise((resolve) => lost.on('close', resolve));
    const waiting = engine.score(item);
    startWorker(address, file);
    expect(await waiting).toHaveLength(1);
  });

  it('with an unlisted key is never accepted', async () => {
    const { head, file } = makeKeys(false);
    const address = `tcp://127.0.0.1:${await freePort()}`;
    startWorker(address, file);
    await expect(start({ address, keys: head }, 6_000)).rejects.toMatchObject({
      code: 'WORKER_START_FAILED',
      message: expect.stringContaining('No worker connected within 6 s') as string,
    });
  });

  it('without keys works only on loopback, on both sides', async () => {
    await expect(start({ address: 'tcp://0.0.0.0:*' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('without keys') as string,
    });
    const refused = startWorker('tcp://192.0.2.1:5555');
    expect(await new Promise((resolve) => refused.on('close', resolve))).toBe(2);
    const address = `tcp://127.0.0.1:${await freePort()}`;
    startWorker(address);
    expect(await (await start({ address })).score(item)).toHaveLength(1);
  });

  it('requires an address to connect to', async () => {
    await expect(createEngine({ python, model: MODEL, devices: ['remote'], precision: 'fp32' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    await expect(start({ address: 'ipc:///tmp/x' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

it('writes keys as ZeroMQ does (RFC 32)', () => {
  expect(z85(Uint8Array.of(0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b))).toBe('HelloWorld');
  rmSync(folder, { recursive: true, force: true });
});

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/base/logger.js';
import { createEngine, type Engine, type EngineOptions } from '../../src/engine/index.js';
import { ensurePython, type PythonCommand } from '../../src/engine/python/environment.js';
import { packageRoot } from '../../src/base/package-root.js';

const MODEL = join(packageRoot, 'test/fixtures/golden/tiny_a/model');
const PROMPT = 'USER: How would you rate the quality of this image?\n<|image|>\nASSISTANT: The quality of the image is';
const python: PythonCommand = await ensurePython();

let engine: Engine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

async function start(options: Partial<EngineOptions> & { env?: Record<string, string> } = {}): Promise<Engine> {
  const { env = {}, ...rest } = options;
  const path = `${python.env['PYTHONPATH']}:${join(packageRoot, 'test/fixtures')}`;
  engine = await createEngine({
    python: { ...python, env: { ...python.env, ...env, PYTHONPATH: path, OMP_NUM_THREADS: '1' } },
    model: MODEL,
    devices: ['cpu'],
    precision: 'fp32',
    workerModule: 'faulty_worker',
    ...rest,
  });
  return engine;
}

const item = (
  prompt = PROMPT,
  value = 100,
): { visuals: { frames: number; data: Uint8Array }[]; prompts: string[] } => ({
  visuals: [{ frames: 1, data: new Uint8Array(56 * 56 * 3).map((_, i) => (i * value) % 251) }],
  prompts: [prompt],
});
const fault = (name: string) => item(`${PROMPT} FAULT ${name}`);

describe('scoring', () => {
  it('returns scores in any batch and on two workers within 1e-5 of single items', async () => {
    const scorer = await start({ devices: ['cpu', 'cpu'], maxBatchFrames: 5 });
    const items = Array.from({ length: 40 }, (_, i) => item(PROMPT, i + 1));
    const alone: Awaited<ReturnType<Engine['score']>>[] = [];
    for (const one of items) alone.push(await scorer.score(one));
    const together = await Promise.all(items.map((one) => scorer.score(one)));
    const distance = Math.max(
      ...together.flatMap(([a], i) => a!.logits.map((logit, k) => Math.abs(logit - alone[i]![0]!.logits[k]!))),
    );
    expect(distance).toBeLessThan(1e-5);
    expect(scorer.stats().batches).toBeLessThan(80);
    expect(scorer.stats()).toMatchObject({ queued: 0, running: 0, items: 80 });
  });

  it('returns the same bytes in any order and on two workers in deterministic mode', async () => {
    const items = Array.from({ length: 24 }, (_, i) => item(PROMPT, i + 1));
    const scorer = await start({ devices: ['cpu', 'cpu'], deterministic: true });
    const first = await Promise.all(items.map((one) => scorer.score(one)));
    expect(scorer.stats().batches).toBeLessThan(24);
    const alone: Awaited<ReturnType<Engine['score']>>[] = [];
    for (const one of items.toReversed()) alone.unshift(await scorer.score(one));
    expect(alone).toEqual(first);
  }, 120_000);

  it('sends larger batches to a GPU, wherever its worker runs', async () => {
    expect((await start()).stats().maxBatchFrames).toBe(16);
    await engine?.close();
    expect((await start({ env: { FAULT_DEVICE: 'cuda:0' } })).stats().maxBatchFrames).toBe(64);
  });

  it('logs every message of the bridge at debug, without its token', async () => {
    const lines: string[] = [];
    const log = createLogger((_level, message, fields) => lines.push(`${message} ${JSON.stringify(fields)}`), 'debug');
    await (await start({ log })).score(item());
    for (const name of ['hello', 'welcome', 'ready', 'request', 'result', 'credit'])
      expect(lines.some((line) => line.includes(`"name":"${name}"`))).toBe(true);
    const sent = lines.find((line) => line.includes('"method":"score"'));
    expect(sent).toMatch(/^to the worker .*"bytes":9408\}$/);
    expect(lines.join('\n')).not.toContain('token');
  });

  it('fails a bad item alone', async () => {
    const scorer = await start();
    const bad = { visuals: [{ frames: 1, data: new Uint8Array(30 * 30 * 3) }], prompts: [PROMPT] };
    const settled = await Promise.allSettled([scorer.score(item()), scorer.score(bad), scorer.score(item())]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(settled[1]).toMatchObject({ reason: { code: 'INVALID_REQUEST' } });
  });

  it('cancels waiting items and refuses new ones after closing', async () => {
    const scorer = await start();
    const stop = new AbortController();
    const waiting = Array.from({ length: 50 }, () => scorer.score(item(), { signal: stop.signal }));
    stop.abort();
    for (const settled of await Promise.allSettled(waiting))
      expect(settled).toMatchObject({ reason: { code: 'CANCELLED' } });
    expect(await scorer.score(item())).toHaveLength(1);
    await scorer.close();
    await expect(scorer.score(item())).rejects.toMatchObject({ code: 'BRIDGE_CLOSED' });
  });
});

describe('faults', () => {
  it('a poison item that kills its worker fails alone; its neighbours are scored by another', async () => {
    const scorer = await start();
    const settled = await Promise.allSettled(
      [item(), item(), fault('kill'), item(), item()].map((one) => scorer.score(one)),
    );
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(settled[2]).toMatchObject({ reason: { code: 'WORKER_LOST' } });
  }, 120_000);

  it('neighbouring poison items fail separately, and the worker is restarted', async () => {
    const scorer = await start();
    const settled = await Promise.allSettled(
      [item(), ...Array.from({ length: 4 }, () => fault('kill')), item()].map((one) => scorer.score(one)),
    );
    expect(
      settled.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'scored')),
    ).toEqual(['scored', 'WORKER_LOST', 'WORKER_LOST', 'WORKER_LOST', 'WORKER_LOST', 'scored']);
    expect(await scorer.score(item())).toHaveLength(1);
  }, 120_000);

  it('a worker that dies while idle is restarted only a few times', async () => {
    const scorer = await start({ env: { FAULT_IDLE: '1' } });
    await expect
      .poll(
        () =>
          scorer.score(item()).then(
            () => 'scored',
            (error: { code: string }) => error.code,
          ),
        { timeout: 100_000, interval: 500 },
      )
      .toBe('WORKER_START_FAILED');
    // every second loss is attributed to the item that was alone on the worker
    expect(scorer.stats().workers[0]?.restarts).toBeLessThan(10);
  }, 120_000);

  it('a worker that dies once causes no failure', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'faulty-'));
    const scorer = await start({ env: { FAULT_MARK: join(folder, 'mark') } });
    expect(await scorer.score(fault('flaky'))).toHaveLength(1);
    expect(scorer.stats().workers[0]?.restarts).toBe(1);
    rmSync(folder, { recursive: true });
  }, 120_000);

  it('a worker that hangs is killed and the item fails with WORKER_HUNG', async () => {
    const scorer = await start({ limits: { stepMs: 8000, pingMs: 200 } });
    await expect(scorer.score(fault('hang'))).rejects.toMatchObject({ code: 'WORKER_HUNG' });
  }, 120_000);

  it('a frozen worker counts as silent, then is killed; another worker scores its items', async () => {
    const scorer = await start({ limits: { quietMs: 1_000, loadedSilenceMs: 4_000, pingMs: 200 } });
    await scorer.score(item());
    const { pid } = scorer.stats().workers[0]!;
    process.kill(pid!, 'SIGSTOP');
    const waiting = scorer.score(item());
    await expect.poll(() => scorer.stats().workers[0]!.state, { timeout: 3_500, interval: 50 }).toBe('silent');
    expect(scorer.stats().workers[0]).toMatchObject({ ready: false, pid });
    expect(await waiting).toHaveLength(1);
    expect(scorer.stats().workers[0]).toMatchObject({ state: 'ready', restarts: 1 });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  }, 120_000);

  it('a worker with a permanently failed device ends, and another worker scores its items', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'faulty-'));
    const lines: string[] = [];
    const log = createLogger((_level, message) => lines.push(message), 'info');
    const scorer = await start({ log, env: { FAULT_MARK: join(folder, 'mark') } });
    expect(await scorer.score(fault('sticky'))).toHaveLength(1);
    expect(scorer.stats().workers[0]?.restarts).toBe(1);
    expect(lines).toContainEqual(expect.stringMatching(/^The device cpu failed: an illegal memory access/));
    rmSync(folder, { recursive: true });
  }, 120_000);

  it('a worker that sends invalid messages is a PROTOCOL_VIOLATION', async () => {
    const scorer = await start({ env: { FAULT_DISPATCH: 'FAULT nonsense' } }).catch((error: unknown) => error);
    expect(scorer).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  }, 120_000);

  it('a batch that is too large is split until it fits; an item too large alone is OUT_OF_MEMORY', async () => {
    const scorer = await start();
    const settled = await Promise.allSettled(
      [item(), ...Array.from({ length: 8 }, () => fault('oom-batch')), fault('oom-always')].map((one) =>
        scorer.score(one),
      ),
    );
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(9);
    expect(settled.at(-1)).toMatchObject({ reason: { code: 'OUT_OF_MEMORY' } });
  }, 120_000);

  it('an unexpected exception names its type, not its text', async () => {
    const scorer = await start();
    const [good, bad] = await Promise.allSettled([scorer.score(item()), scorer.score(fault('internal'))]);
    expect(good.status).toBe('fulfilled');
    expect(bad).toMatchObject({
      reason: { code: 'WORKER_INTERNAL', message: expect.not.stringContaining('secret') as string },
    });
  });

  it('refuses a worker of another protocol, naming both', async () => {
    const failure = await start({ env: { FAULT_PROTOCOL: '1' } }).catch((error: Error) => error);
    expect(failure).toMatchObject({
      code: 'PROTOCOL_MISMATCH',
      message: expect.stringMatching(/protocol 3.*protocol 99/) as string,
    });
  });

  it('a worker that cannot start reports why in one sentence', async () => {
    const failure = await start({ env: { FAULT_IMPORT: '1' } }).catch((error: Error) => error);
    expect(failure).toMatchObject({
      code: 'WORKER_START_FAILED',
      message: expect.stringContaining('libtorch_cuda.so') as string,
    });
  });

  it('a start that is cancelled during a model download is CANCELLED', async () => {
    const stop = new AbortController();
    const starting = start({
      env: { FAULT_LOAD: '1' },
      signal: stop.signal,
      limits: { drainMs: 200 },
      onProgress: () => stop.abort(),
    });
    await expect(starting).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('a missing model is MODEL_NOT_FOUND', async () => {
    await expect(start({ model: '/nowhere/at/all' })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});

describe('nothing is left behind', () => {
  const roots = [...new Set([process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), tmpdir()])];
  const folders = (pid: number): string[] =>
    roots.flatMap((root) => readdirSync(root)).filter((name) => name.startsWith(`qalign-${pid}-`));

  it('after close', async () => {
    const scorer = await start();
    const pid = scorer.stats().workers[0]!.pid!;
    await scorer.close();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(folders(process.pid)).toEqual([]);
  });

  it('after kill -9 of the parent, in the middle of a request', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'faulty-'));
    const script = join(folder, 'parent.mts');
    writeFileSync(
      script,
      `
      import { createEngine } from ${JSON.stringify(join(packageRoot, 'src/engine/index.ts'))};
      const engine = await createEngine(${JSON.stringify({ python: { ...python, env: { ...python.env, PYTHONPATH: `${python.env['PYTHONPATH']}:${join(packageRoot, 'test/fixtures')}` } }, model: MODEL, devices: ['cpu'], precision: 'fp32', workerModule: 'faulty_worker' })});
      void engine.score({ visuals: [{ frames: 1, data: new Uint8Array(56 * 56 * 3) }], prompts: [${JSON.stringify(`${PROMPT} FAULT hang`)}] });
      console.log(engine.stats().workers[0].pid);
    `,
    );
    const parent = spawn(process.execPath, ['--import', 'tsx', script], {
      cwd: packageRoot,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const worker = Number(
      await new Promise<string>((resolve) => parent.stdout.once('data', (data: Buffer) => resolve(data.toString()))),
    );
    expect(readFileSync(`/proc/${worker}/cmdline`, 'utf8')).toContain('faulty_worker');
    expect(folders(parent.pid!)).toHaveLength(1);
    parent.kill('SIGKILL');
    await expect
      .poll(() => [existsSync(`/proc/${worker}`), ...folders(parent.pid!)], { timeout: 5000 })
      .toEqual([false]);
    rmSync(folder, { recursive: true });
  }, 120_000);

  it('workers are not found by their command line: the token travels over stdin', async () => {
    const scorer = await start();
    const line = execFileSync('cat', [`/proc/${scorer.stats().workers[0]!.pid}/cmdline`]).toString();
    expect(line).toContain('--connect');
    expect(line).not.toMatch(/[0-9a-f]{32}/);
  });
});

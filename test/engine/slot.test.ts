import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Bridge, WorkerLink } from '../../bridge/client.js';
import { QalignError } from '../../src/base/errors.js';
import { silentLogger } from '../../src/base/logger.js';
import { loadModelParams } from '../../src/engine/load-model.js';
import { Slot } from '../../src/engine/slot.js';

interface Worker extends WorkerLink {
  quiet: boolean;
  end(reason: QalignError): void;
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** A slot whose workers load at once; `fail` can refuse a start. */
function newSlot({ revive = true, fail = (): QalignError | undefined => undefined, loaded = {} } = {}) {
  const workers: Worker[] = [];
  const bridge: Bridge = {
    endpoint: '',
    startWorker: async () => {
      const failure = fail();
      if (failure !== undefined) throw failure;
      let end!: (reason: QalignError) => void;
      const worker = {
        device: 'cuda:1',
        quiet: false,
        lost: new Promise<QalignError>((resolve) => (end = resolve)),
        end: (reason: QalignError) => end(reason),
        discard: (reason: QalignError) => end(reason),
        request: async () => ({ model: { weights_sha256: 'a' }, ...loaded }),
        loaded: () => {},
        answering: () => {},
        close: async () => {},
      } as unknown as Worker;
      workers.push(worker);
      return worker;
    },
    close: async () => {},
  };
  const slot = new Slot({
    bridge,
    worker: { python: { executable: '', env: {} }, device: 'cuda:1' },
    load: loadModelParams({ model: 'm', device: 'cuda:1' }),
    log: silentLogger,
    revive,
    onProgress: () => {},
    onChange: () => {},
  });
  return { slot, workers };
}

const error = (code: QalignError['code']): QalignError => new QalignError(code, `${code}.`);
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

it('is starting without a worker, ready with one, and silent while the worker does not answer', async () => {
  const { slot, workers } = newSlot();
  expect(slot.state).toBe('starting');
  await slot.start();
  expect(slot.state).toBe('ready');
  (workers[0] as Worker).quiet = true;
  expect(slot.state).toBe('silent');
});

it('has the memory of its GPU from the load, then from the worker, and none without a worker', async () => {
  const memory = { allocated_bytes: 1, reserved_bytes: 2, peak_bytes: 3, free_bytes: 4, total_bytes: 5 };
  const { slot, workers } = newSlot({ loaded: { device_memory: memory } });
  expect(slot.deviceMemory).toBeUndefined();
  await slot.start();
  expect(slot.deviceMemory).toEqual(memory);
  const [worker] = workers as [{ deviceMemory?: typeof memory } & Worker];
  worker.deviceMemory = { ...memory, allocated_bytes: 9 };
  expect(slot.deviceMemory?.allocated_bytes).toBe(9);
  worker.end(error('WORKER_LOST'));
  await pass(0);
  expect(slot.deviceMemory).toBeUndefined();
});

it('is set aside temporarily after three device failures in ten minutes, even if it answered in between', async () => {
  const { slot, workers } = newSlot();
  await slot.start();
  for (const aside of [false, false, true]) {
    slot.succeeded(workers.at(-1) as Worker, 16);
    workers.at(-1)?.end(error('DEVICE_FAILED'));
    await pass(1_000);
    expect(slot.state).toBe(aside ? 'set_aside' : 'ready');
  }
  expect(workers).toHaveLength(3);
  await pass(28_000);
  expect(slot.state).toBe('set_aside');
  await pass(2_500);
  expect(slot.state).toBe('ready');
  expect(slot.restarts).toBe(3);
});

it('does not count killed processes as device faults', async () => {
  const { slot, workers } = newSlot();
  await slot.start();
  for (let i = 0; i < 6; i++) {
    slot.succeeded(workers.at(-1) as Worker, 16);
    workers.at(-1)?.end(error('WORKER_LOST'));
    await pass(1_000);
    expect(slot.state).toBe('ready');
  }
});

it('replaces a worker after three consecutive unexpected errors', async () => {
  const { slot, workers } = newSlot();
  await slot.start();
  const [first] = workers as [Worker];
  for (let i = 0; i < 4; i++) {
    slot.failed(first, error('WORKER_INTERNAL'));
    slot.failed(first, error('WORKER_INTERNAL'));
    slot.failed(first, error('INVALID_REQUEST'));
    slot.succeeded(first, 16);
  }
  await pass(1_000);
  expect(workers).toHaveLength(1);
  for (let i = 0; i < 3; i++) slot.failed(first, error('WORKER_INTERNAL'));
  await pass(1_000);
  expect(workers).toHaveLength(2);
  expect(slot.state).toBe('ready');
});

it('sets a device aside if its workers only fail unexpectedly', async () => {
  const { slot, workers } = newSlot();
  await slot.start();
  for (let start = 0; start < 3; start++) {
    for (let i = 0; i < 3; i++) slot.failed(workers.at(-1) as Worker, error('WORKER_INTERNAL'));
    await pass(2_000);
  }
  expect(slot.state).toBe('set_aside');
});

it('retries a device that cannot be started at growing intervals', async () => {
  let broken = false;
  let tries = 0;
  const { slot, workers } = newSlot({ fail: () => (broken && ++tries > 0 ? error('WORKER_START_FAILED') : undefined) });
  await slot.start();
  broken = true;
  workers[0]?.end(error('WORKER_LOST'));
  await pass(15 * 60_000);
  expect(slot.state).toBe('set_aside');
  expect(tries).toBeLessThan(12);
  broken = false;
  await pass(301_000);
  expect(slot.state).toBe('ready');
});

it('leaves no listeners after any number of restarts', async () => {
  const { slot, workers } = newSlot();
  const listening = vi.spyOn(AbortSignal.prototype, 'addEventListener');
  await slot.start();
  for (let i = 0; i < 12; i++) {
    slot.succeeded(workers.at(-1) as Worker, 16);
    workers.at(-1)?.end(error('WORKER_LOST'));
    await pass(1_000);
  }
  expect(workers).toHaveLength(13);
  const signal = listening.mock.contexts[0] as AbortSignal;
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

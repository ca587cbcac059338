import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Link, type WorkerOptions } from '../../bridge/link.js';
import { PROTOCOL_VERSION } from '../../bridge/protocol/envelope.js';
import type { QalignError } from '../../bridge/qalign-error.js';
import type { Transport } from '../../bridge/transport.js';
import type { WorkerProcess } from '../../bridge/worker-process.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const HELLO = {
  ...{ type: 'hello', protocol: PROTOCOL_VERSION, version: '0.1.0', pid: 7, host: 'h' },
  ...{ device: 'cpu', token: 'secret', capabilities: [] },
};

/** A worker that has sent ready, and answers pings while `answers`. */
function newLink(options: Partial<WorkerOptions> = {}) {
  const worker = { answers: true, stepAgeMs: null as number | null, pings: 0, mended: 0, reason: '' };
  const transport: Transport = {
    endpoint: 'ipc://nowhere',
    mend: async () => void worker.mended++,
    async send(_peer, envelope) {
      if ((envelope as { type?: string }).type !== 'ping') return;
      worker.pings++;
      if (worker.answers) link.receive({ type: 'pong', seq: 0, step_age_ms: worker.stepAgeMs, rss_bytes: 1 });
    },
    close: () => {},
  };
  let end!: (how: string) => void;
  const exited = new Promise<string>((resolve) => (end = resolve));
  const process: WorkerProcess = { pid: 7, exited, saidBye: () => {}, kill: () => end('it was killed') };
  const link = new Link(
    transport,
    'worker',
    'secret',
    { python: { executable: '', env: {} }, device: 'cpu', ...options },
    process,
  );
  void link.lost.then((reason: QalignError) => (worker.reason = `${reason.code}: ${reason.message}`));
  const greet = (): void => {
    link.receive(HELLO);
    link.receive({ type: 'ready', credits: 2 });
  };
  return { link, worker, greet };
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

it('pings a worker every second, also while idle, and checks its socket until it has connected', async () => {
  const { worker, greet } = newLink();
  await pass(5_000);
  expect(worker).toMatchObject({ pings: 0, mended: 5 });
  greet();
  await pass(5_000);
  expect(worker).toMatchObject({ pings: 5, mended: 5, reason: '' });
});

it('gives a frozen worker no work after 10 s and ends it after 30 s once its model is loaded', async () => {
  const { link, worker, greet } = newLink();
  greet();
  link.loaded();
  worker.answers = false;
  await pass(9_900);
  expect(link.quiet).toBe(false);
  await pass(1_200);
  expect(link.quiet).toBe(true);
  await pass(18_000);
  expect(worker.reason).toBe('');
  await pass(2_000);
  expect(worker.reason).toMatch(/^WORKER_HUNG: The worker on cpu did not answer for 3\d s and was killed\.$/);
  expect(worker.pings).toBeLessThan(5); // unread messages stay in a bounded queue
});

it('waits 300 s for a worker that loads its model', async () => {
  const { worker, greet } = newLink();
  greet();
  worker.answers = false;
  await pass(299_000);
  expect(worker.reason).toBe('');
  await pass(3_000);
  expect(worker.reason).toMatch(/^WORKER_HUNG/);
});

it('accepts a worker that answers again, with any message', async () => {
  const { link, worker, greet } = newLink();
  greet();
  link.loaded();
  worker.answers = false;
  await pass(12_000);
  let told = 0;
  link.onCredit = () => void told++;
  link.receive({ type: 'log', level: 'info', message: 'here again', fields: {} });
  expect([link.quiet, told]).toEqual([false, 1]);
  worker.answers = true;
  await pass(60_000);
  expect(worker.reason).toBe('');
});

it('judges steps by the limit of loading until the first batch is answered, then by its own', async () => {
  const { link, worker, greet } = newLink({ limits: { answeringStepMs: 60_000 } });
  greet();
  link.loaded();
  worker.stepAgeMs = 100_000;
  await pass(2_000);
  expect(worker.reason).toBe('');
  link.answering(150_000); // its batches have been long
  await pass(2_000);
  expect(worker.reason).toBe('');
  link.answering(1_000);
  await pass(2_000);
  expect(worker.reason).toBe('WORKER_HUNG: The worker on cpu made no progress for 100 s and was killed.');
});

it('reports why a worker with a failed device ends, also to its open requests', async () => {
  const { link, worker, greet } = newLink();
  greet();
  const open = link.request('unload_model', {});
  link.receive({ type: 'bye', error: { code: 'DEVICE_FAILED', message: 'device-side assert triggered; it ends.' } });
  await expect(open).rejects.toMatchObject({ code: 'DEVICE_FAILED' });
  expect(worker.reason).toBe('DEVICE_FAILED: The device cpu failed: device-side assert triggered; it ends.');
});

it('leaves no listener on its start signal', async () => {
  const { signal } = new AbortController();
  for (let i = 0; i < 12; i++) {
    const { link, greet } = newLink();
    const ready = link.ready(signal);
    greet();
    await ready;
  }
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

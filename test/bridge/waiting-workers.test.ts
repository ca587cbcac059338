import { describe, expect, it } from 'vitest';
import { createWaitingWorkers } from '../../bridge/waiting-workers.js';

const hello = (device: string): object => ({
  type: 'hello',
  protocol: 1,
  version: '0.1.0',
  pid: 7,
  host: 'h',
  device,
  token: 'remote',
  capabilities: ['score'],
});

describe('createWaitingWorkers', () => {
  it('hands out the worker that has waited longest, each once', async () => {
    const waiting = createWaitingWorkers();
    waiting.add('first', hello('cuda:0'));
    waiting.add('second', hello('cuda:1'));
    expect(await waiting.next(1000)).toMatchObject({ peer: 'first', hello: { device: 'cuda:0' } });
    expect(await waiting.next(1000)).toMatchObject({ peer: 'second' });
    await expect(waiting.next(1)).rejects.toMatchObject({ code: 'WORKER_START_FAILED' });
  });

  it('gives a new worker to the caller that has waited longest', async () => {
    const waiting = createWaitingWorkers();
    const [first, second] = [waiting.next(1000), waiting.next(1000)];
    waiting.add('a', hello('cpu'));
    waiting.add('b', hello('cpu'));
    expect([(await first).peer, (await second).peer]).toEqual(['a', 'b']);
  });

  it('identifies a worker by its hello, and uses the newest hello of a worker', async () => {
    const waiting = createWaitingWorkers();
    waiting.add('a', { type: 'ready', credits: 2 });
    waiting.add('a', { type: 'hello' });
    waiting.add('a', undefined);
    await expect(waiting.next(1)).rejects.toMatchObject({ code: 'WORKER_START_FAILED' });
    waiting.add('a', hello('cpu'));
    waiting.add('a', hello('cuda:3'));
    expect((await waiting.next(1000)).hello.device).toBe('cuda:3');
    await expect(waiting.next(1)).rejects.toMatchObject({ code: 'WORKER_START_FAILED' });
  });

  it('drops a caller that has cancelled, and keeps the worker for the next one', async () => {
    const waiting = createWaitingWorkers();
    const stop = new AbortController();
    const given = waiting.next(1000, stop.signal);
    stop.abort();
    await expect(given).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(waiting.next(1000, stop.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
    waiting.add('a', hello('cpu'));
    expect((await waiting.next(1000)).peer).toBe('a');
  });

  it('rejects all waiting callers when it is closed', async () => {
    const waiting = createWaitingWorkers();
    const both = [waiting.next(1000), waiting.next(1000)].map((next) =>
      expect(next).rejects.toMatchObject({ code: 'BRIDGE_CLOSED' }),
    );
    waiting.close();
    await Promise.all(both);
  });
});

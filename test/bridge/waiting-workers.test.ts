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

  it('gives a worker that comes to whoever has waited longest for one', async () => {
    const waiting = createWaitingWorkers();
    const [first, second] = [waiting.next(1000), waiting.next(1000)];
    waiting.add('a', hello('cpu'));
    waiting.add('b', hello('cpu'));
    expect([(await first).peer, (await second).peer]).toEqual(['a', 'b']);
  });

  it('knows a worker by its hello alone, and takes the newest of a worker that says it again', async () => {
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

  it('lets nobody wait who gave up, and keeps the worker for the next', async () => {
    const waiting = createWaitingWorkers();
    const stop = new AbortController();
    const given = waiting.next(1000, stop.signal);
    stop.abort();
    await expect(given).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(waiting.next(1000, stop.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
    waiting.add('a', hello('cpu'));
    expect((await waiting.next(1000)).peer).toBe('a');
  });

  it('refuses all who wait when it is closed', async () => {
    const waiting = createWaitingWorkers();
    const both = [waiting.next(1000), waiting.next(1000)].map((next) =>
      expect(next).rejects.toMatchObject({ code: 'BRIDGE_CLOSED' }),
    );
    waiting.close();
    await Promise.all(both);
  });
});

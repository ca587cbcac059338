import { expect, it } from 'vitest';
import type { Bridge, WorkerLink, WorkerOptions } from '../../bridge/client.js';
import { loadModelParams } from '../../src/engine/load-model.js';
import { withWorker } from '../../src/engine/with-worker.js';

const python = { executable: 'python3', env: {}, root: '' };

function recordingBridge(start: (options: WorkerOptions) => Promise<WorkerLink>): { bridge: Bridge; closed: number } {
  const record = {
    closed: 0,
    bridge: {
      endpoint: 'ipc://nowhere',
      startWorker: start,
      close: async () => void (record.closed += 1),
    },
  };
  return record;
}

it('returns the answer of one worker on the named device, and ends the worker', async () => {
  const started: WorkerOptions[] = [];
  const worker = { device: 'cuda:1' } as WorkerLink;
  const record = recordingBridge(async (options) => (started.push(options), worker));
  const { signal } = new AbortController();
  const device = await withWorker(
    { python, device: 'cuda:1', signal },
    async (link) => link.device,
    async () => record.bridge,
  );
  expect(device).toBe('cuda:1');
  expect(started).toEqual([{ python, device: 'cuda:1', signal }]);
  expect(record.closed).toBe(1);
});

it('ends the worker also when it does not start, or when its request fails', async () => {
  const record = recordingBridge(() => Promise.reject(new Error('did not start')));
  const ask = (): Promise<never> => Promise.reject(new Error('no answer'));
  await expect(withWorker({ python, device: 'cpu' }, ask, async () => record.bridge)).rejects.toThrow('did not start');
  const other = recordingBridge(async () => ({}) as WorkerLink);
  await expect(withWorker({ python, device: 'cpu' }, ask, async () => other.bridge)).rejects.toThrow('no answer');
  expect([record.closed, other.closed]).toEqual([1, 1]);
});

it('loads a model with all revisions of the model choice', () => {
  expect(loadModelParams({ model: 'm', device: 'cpu' })).toEqual({
    model: 'm',
    device: 'cpu',
    precision: 'auto',
    offline: false,
  });
  const all = { revision: 'r', base: 'b', device: 'cpu', precision: 'fp32', offline: true } as const;
  expect(loadModelParams({ ...all, model: 'm', baseRevision: 's', cacheDir: 'c' })).toEqual({
    ...all,
    model: 'm',
    base_revision: 's',
    cache_dir: 'c',
  });
});

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import { createLogger } from '../../../src/base/logger.js';
import type { RunMethod } from '../../../src/server/runs/perform.js';
import { createRunQueue, type RunQueue } from '../../../src/server/runs/queue.js';
import type { RunKind, ServiceRun } from '../../../src/server/runs/store.js';

let root: string;
let stored: Map<string, ServiceRun>;
let began: string[];
let ends: Map<string, (how: 'completed' | Error) => void>;
let queue: RunQueue;

/** Runs until the test ends or stops it. */
const method: RunMethod = (run, { signal, tell }) =>
  new Promise((resolve, reject) => {
    began.push(run.id);
    tell({ event: 'step' });
    ends.set(run.id, (how) => (how === 'completed' ? resolve(how) : reject(how)));
    signal.addEventListener('abort', () => resolve('stopped'));
  });

const submit = (id: string, kind: RunKind): ServiceRun => {
  const run: ServiceRun = {
    ...{ id, kind, owner: 'ann', name: id, status: 'queued', recipe: {}, fingerprint: 'f', createdAt: 1 },
    ...{ folder: undefined, message: undefined, finishedAt: undefined },
  };
  stored.set(id, run);
  queue.submit(run);
  return run;
};
const eventsOf = async (id: string): Promise<unknown[]> =>
  (await readFile(join(root, id, 'events.jsonl'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
const untilIdle = (id: string): Promise<void> => expect.poll(() => queue.isActive(id)).toBe(false);

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'qalign-runs-'));
  stored = new Map();
  began = [];
  ends = new Map();
  queue = createRunQueue({
    root,
    store: {
      insert: () => {},
      save: (run) => void stored.set(run.id, run),
      get: (id) => stored.get(id),
      list: () => [],
      inFolder: () => undefined,
      unfinished: () => [...stored.values()].filter(({ status }) => status === 'queued' || status === 'running'),
    },
    methods: { run: method, eval: method },
    redact: (text) => text.replaceAll('/secret/', ''),
    log: createLogger(() => {}, 'error'),
  });
});
afterEach(async () => {
  await queue.close();
  await rm(root, { recursive: true, force: true });
});

it('runs one training and one evaluation at a time, and reports their results', async () => {
  for (const [id, kind] of [
    ['t1', 'run'],
    ['t2', 'run'],
    ['e1', 'eval'],
  ] as const)
    submit(id, kind);
  await expect.poll(() => [...began].sort()).toEqual(['e1', 't1']);
  ends.get('t1')?.('completed');
  await expect.poll(() => began.slice(2)).toEqual(['t2']);
  expect(queue.current('t1')).toMatchObject({ status: 'completed', finishedAt: expect.any(Number) as number });
  expect(await eventsOf('t1')).toMatchObject([{ event: 'step' }, { event: 'end', status: 'completed' }]);
});

it('fails with a message that names no folder, and hides unexpected errors', async () => {
  const [known, unknown] = [submit('known', 'run'), submit('unknown', 'eval')];
  await expect.poll(() => began).toHaveLength(2);
  ends.get('known')?.(new QalignError('MEDIA_NOT_FOUND', 'There is no /secret/a.png.'));
  ends.get('unknown')?.(new TypeError('x is undefined'));
  await untilIdle('known');
  await untilIdle('unknown');
  expect(known).toMatchObject({ status: 'failed', message: 'There is no a.png.' });
  expect(unknown).toMatchObject({
    status: 'failed',
    message: expect.stringMatching(/the log of the service has details/) as string,
  });
});

it('stops running runs, and waiting runs at once', async () => {
  const [runs, waits] = [submit('runs', 'run'), submit('waits', 'run')];
  await expect.poll(() => began).toEqual(['runs']);
  queue.stop('waits');
  expect([waits.status, queue.isActive('waits')]).toEqual(['stopped', false]);
  queue.stop('runs');
  await untilIdle('runs');
  expect(runs.status).toBe('stopped');
  expect(began).toEqual(['runs']);
});

it('interrupts all runs when the service ends, and runs of an earlier process', async () => {
  const [runs, waits] = [submit('runs', 'run'), submit('waits', 'run')];
  await expect.poll(() => began).toEqual(['runs']);
  await queue.close();
  expect([runs.status, waits.status]).toEqual(['interrupted', 'interrupted']);
  stored.set('left', { ...runs, id: 'left', status: 'running', finishedAt: undefined });
  queue.recover();
  expect(queue.current('left')?.status).toBe('interrupted');
  await expect.poll(() => eventsOf('left').catch(() => [])).toMatchObject([{ event: 'end', status: 'interrupted' }]);
});

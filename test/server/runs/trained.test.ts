import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLogger } from '../../../src/base/logger.js';
import type { RunMethod } from '../../../src/server/runs/perform.js';
import { createRunQueue, type RunQueue } from '../../../src/server/runs/queue.js';
import type { RunKind, ServiceRun } from '../../../src/server/runs/store.js';
import { trainingsOf, withTrainedModels } from '../../../src/server/runs/trained.js';

const training = `run_${'1'.repeat(24)}`;
const evaluation = `eval_${'2'.repeat(24)}`;
const other = `eval_${'3'.repeat(24)}`;
let root: string;
let stored: Map<string, ServiceRun>;
let used: unknown[];
let finish: () => void;
let queue: RunQueue;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'qalign-trained-'));
  stored = new Map();
  used = [];
  const train: RunMethod = (_run, { signal, began }) =>
    new Promise((resolve) => {
      finish = () => {
        began(join(root, 'mine'));
        resolve('completed');
      };
      signal.addEventListener('abort', () => resolve('stopped'));
    });
  const evaluate: RunMethod = async (run) => {
    used.push(withTrainedModels(run.recipe, (id) => stored.get(id))['model']);
    return 'completed';
  };
  queue = createRunQueue({
    root,
    store: {
      insert: () => {},
      save: (run) => void stored.set(run.id, run),
      get: (id) => stored.get(id),
      list: () => [],
      inFolder: () => undefined,
      unfinished: () => [],
    },
    methods: { run: train, eval: evaluate },
    redact: (text) => text,
    log: createLogger(() => {}, 'error'),
  });
});
afterEach(async () => {
  await queue.close();
  await rm(root, { recursive: true, force: true });
});

function submit(id: string, kind: RunKind, model: string): void {
  const run: ServiceRun = {
    ...{ id, kind, owner: 'ann', name: id, status: 'queued', recipe: { model }, fingerprint: 'f', createdAt: 1 },
    ...{ folder: undefined, message: undefined, finishedAt: undefined },
  };
  stored.set(id, run);
  queue.submit(run);
}
const statusOf = (id: string): string | undefined => queue.current(id)?.status;

it('an evaluation of a training waits for its end, while others run', async () => {
  submit(training, 'run', 'nano');
  submit(evaluation, 'eval', `run:${training}`);
  submit(other, 'eval', 'nano');
  await expect.poll(() => statusOf(other)).toBe('completed');
  expect([statusOf(training), statusOf(evaluation)]).toEqual(['running', 'queued']);
  await mkdir(join(root, 'mine/model'), { recursive: true });
  finish();
  await expect.poll(() => statusOf(evaluation)).toBe('completed');
  expect(used).toEqual(['nano', join(root, 'mine/model')]);
});

it('an evaluation of a stopped training fails with a clear error', async () => {
  submit(training, 'run', 'nano');
  submit(evaluation, 'eval', `run:${training}`);
  await expect.poll(() => statusOf(training)).toBe('running');
  queue.stop(training);
  await expect.poll(() => statusOf(evaluation)).toBe('failed');
  expect(queue.current(evaluation)?.message).toMatch(/is stopped and has no model; resume it/);
});

it('names a training only by its id', () => {
  expect(trainingsOf({ model: `run:${training}`, base: 'run:koniq' })).toEqual([training]);
  expect(trainingsOf({ model: training, base: null })).toEqual([]);
  expect(() => withTrainedModels({ model: `run:${training}` }, () => undefined)).toThrow(/There is no training/);
});

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLogger } from '../../../src/base/logger.js';
import { createJobJournal, type JobJournal } from '../../../src/server/jobs/journal.js';
import type { StoredJob } from '../../../src/server/jobs/store.js';
import { storedJob } from './stored-job.js';

let folder: string;
let saved: Pick<StoredJob, 'status' | 'message' | 'finishedAt'>[];
let logged: string[];
let failure: Error | undefined;
let journal: JobJournal;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-journal-'));
  [saved, logged, failure] = [[], [], undefined];
  journal = createJobJournal({
    store: {
      save: ({ status, message, finishedAt }) => {
        if (failure !== undefined) throw failure;
        saved.push({ status, message, finishedAt });
      },
    },
    webhooks: { keep: (_, save) => save(), send: () => {} },
    folders: { events: (id) => join(folder, id, 'events.jsonl') },
    log: createLogger((level, message) => void logged.push(`${level} ${message}`), 'debug'),
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('saves and logs a new state once', () => {
  const job = storedJob();
  journal.note(job, 'running');
  journal.note(job, 'running');
  journal.note(job, 'waiting', 'no room');
  expect(saved).toEqual([
    { status: 'running', message: undefined, finishedAt: undefined },
    { status: 'waiting', message: 'no room', finishedAt: undefined },
  ]);
  expect(logged).toEqual(['info job', 'info job']);
});

it('keeps the end of a job, whatever comes in later', () => {
  const job = storedJob();
  journal.end(job, 'cancelled');
  journal.note(job, 'running');
  journal.end(job, 'completed');
  expect(job).toMatchObject({ status: 'cancelled', finishedAt: expect.any(Number) as number });
  expect(saved).toHaveLength(1);
});

it('goes on where the state cannot be saved or the events cannot be written', async () => {
  failure = new Error('the disk is full');
  const job = storedJob();
  journal.note(job, 'running');
  await journal.tell(job); // there is no folder
  await journal.mend(job.id);
  expect(job.status).toBe('running');
  expect(logged.filter((line) => line.startsWith('warn'))).toEqual([
    'warn the state of a job was not saved; its results say how far it is',
    'warn an event of a job was not written',
  ]);
});

it('tells progress and at last the end, each on a line of its own also after a kill', async () => {
  const job = storedJob({ done: 3, failed: 1, warned: 0 });
  const events = join(folder, job.id, 'events.jsonl');
  await mkdir(join(folder, job.id));
  await writeFile(events, '{"event":"prog');
  await journal.mend(job.id);
  await journal.tell(job);
  journal.end(job, 'completed');
  await journal.tell(job);
  const [torn, ...lines] = (await readFile(events, 'utf8')).trimEnd().split('\n');
  expect(torn).toBe('{"event":"prog');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    {
      event: 'progress',
      time: expect.any(Number) as number,
      status: 'queued',
      total: 200,
      done: 3,
      failed: 1,
      warned: 0,
    },
    {
      event: 'end',
      time: expect.any(Number) as number,
      status: 'completed',
      total: 200,
      done: 3,
      failed: 1,
      warned: 0,
    },
  ]);
});

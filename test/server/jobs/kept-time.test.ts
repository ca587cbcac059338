import { afterEach, beforeEach, expect, it } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Db } from '../../../src/base/files/sqlite.js';
import { createJobStore, type JobStore } from '../../../src/server/jobs/store.js';
import { openServiceDatabase } from '../../../src/server/service-database.js';
import { storedJob } from './stored-job.js';

const DAY = 86_400;
let folder: string;
let database: Db;
let wall: number;
let running: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-kept-'));
  database = openServiceDatabase(folder);
  [wall, running] = [1_800_000_000, 1000];
});
afterEach(async () => {
  database.close();
  await rm(folder, { recursive: true, force: true });
});

/** Opens the store as a new process of the service does. */
const open = (): JobStore => createJobStore(database, { wall: () => wall, running: () => running });
const id = `job_${'1'.repeat(24)}`;
const ended = (): void => createJobStore(database).insert(storedJob({ id, status: 'completed', finishedAt: wall }));
const pass = (seconds: number): void => void ([wall, running] = [wall + seconds, running + seconds]);

it('removes a job after keep_days, and not before', () => {
  ended();
  const store = open();
  expect(store.removeKept(2 * DAY)).toEqual([]);
  pass(1.9 * DAY);
  expect(store.removeKept(2 * DAY)).toEqual([]);
  pass(0.2 * DAY);
  expect(store.removeKept(2 * DAY)).toEqual([id]);
  expect(store.get(id)).toBeUndefined();
});

it('removes nothing when the wall clock jumps forward or back while the service runs', () => {
  ended();
  const store = open();
  store.removeKept(2 * DAY);
  for (const jump of [3650 * DAY, -3650 * DAY, -20_000 * DAY, 20_000 * DAY]) {
    wall += jump;
    expect(store.removeKept(2 * DAY)).toEqual([]);
  }
});

it('counts a jump between two processes as a day', () => {
  ended();
  open().removeKept(3 * DAY);
  wall += 3650 * DAY;
  expect(open().removeKept(3 * DAY)).toEqual([]);
  wall -= 3650 * DAY;
  expect(open().removeKept(3 * DAY)).toEqual([]);
  pass(DAY);
  expect(open().removeKept(3 * DAY)).toEqual([]);
  pass(DAY);
  expect(open().removeKept(3 * DAY)).toEqual([id]);
});

it('keeps jobs that ended while the clock was wrong', () => {
  wall = 0; // a machine without a clock, before time synchronisation
  ended();
  const store = open();
  store.removeKept(DAY);
  wall = 1_800_000_000;
  expect(store.removeKept(DAY)).toEqual([]);
});

import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCurveReader } from '../../src/runs/run-curves.js';
import { trainEvents } from '../page/train-events.js';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'curves-'))));
afterAll(() => rm(folder, { recursive: true }));

it('reads a long run as few points, and later only its growth', async () => {
  const [file, reader] = [join(folder, 'events.jsonl'), createCurveReader()];
  expect((await reader.read(file, 50)).last_event_id).toBe(0);
  await writeFile(file, trainEvents(1, 5000, 0));
  const first = await reader.read(file, 50);
  expect(first.last_event_id).toBe(5000 + 1 + 100);
  expect(first.curves.loss.x.length).toBeLessThanOrEqual(50);
  expect(first.curves.loss.n.reduce((a, b) => a + b)).toBe(5000);
  expect(first.curves.mfu.x).toEqual([]);
  expect(JSON.stringify(first).length).toBeLessThan(40_000);
  await appendFile(file, `${trainEvents(5001, 5010, 0)}{"event":"step","st`);
  const [again, fresh] = [await reader.read(file, 50), await createCurveReader().read(file, 50)];
  expect(again).toEqual(fresh);
  expect(again.last_event_id).toBe(first.last_event_id + 10);
  await writeFile(file, trainEvents(1, 10, 0));
  expect((await reader.read(file, 50)).curves.loss.x).toHaveLength(10);
});

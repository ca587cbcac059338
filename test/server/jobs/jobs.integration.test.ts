import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { isFailure } from '../../../src/api/result.js';
import type { JobEvent, ServiceError } from '../../../src/client/client.js';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { openServiceDatabase } from '../../../src/server/service-database.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

const PICTURES = join(packageRoot, 'test/fixtures/pictures');
const tiny = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify({ id: `n${from + i}`, base64: EXAMPLE_PICTURE })}\n`).join(
    '',
  );

/** Enough items that the job still runs when the test acts on it. */
const MANY = 1500;

let dataDir: string;
let service: TestService;
const start = (): Promise<TestService> => startService([`root=${PICTURES}`, 'jobs.in_flight=16'], { dataDir });
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'qalign-jobs-'));
  service = await start();
});
afterAll(async () => {
  await service.close();
  await rm(dataDir, { recursive: true, force: true });
});

const inputs = async (id: string): Promise<string[]> => {
  const names: string[] = [];
  for await (const outcome of service.client.jobs.results(id))
    names.push(`${outcome.input} ${outcome.task} ${isFailure(outcome) ? outcome.error.code : 'ok'}`);
  return names;
};

describe('a job', () => {
  it('scores a list of paths and items in order, including failures, as JSON lines and CSV', async () => {
    const job = await service.client.jobs.create(
      'pristine.jpg\nmissing.jpg\n{"id": "clip, short", "path": "pan.mp4"}\n../secret\n',
      { tasks: ['quality', 'aesthetics'], scale: 'percent' },
    );
    expect(job).toMatchObject({
      status: expect.stringMatching(/queued|running/) as string,
      total: 4,
      tasks: ['quality', 'aesthetics'],
      scale: 'percent',
    });
    const ended = await service.client.jobs.wait(job.id);
    expect(ended).toMatchObject({ status: 'completed', done: 4, failed: 2, eta_s: 0 });
    const both = (name: string, code: string): string[] => [`${name} quality ${code}`, `${name} aesthetics ${code}`];
    expect(await inputs(job.id)).toEqual([
      ...both('pristine.jpg', 'ok'),
      ...both('missing.jpg', 'MEDIA_NOT_FOUND'),
      ...both('clip, short', 'ok'),
      ...both('../secret', 'PATH_FORBIDDEN'),
    ]);
    const csv = await service.client.jobs.csv(job.id);
    expect(csv.trim().split('\n')).toHaveLength(9);
    expect(csv).toContain('"clip, short",video,quality,');
  });

  it('returns ranges of its results, and 416 outside of them', async () => {
    const { id } = await service.client.jobs.create(tiny(3));
    await service.client.jobs.wait(id);
    const url = `${service.url}/v1/jobs/${id}/results`;
    const whole = await (await fetch(url)).text();
    const part = await fetch(url, { headers: { Range: 'bytes=10-29' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
      206,
      `bytes 10-29/${whole.length}`,
      whole.slice(10, 30),
    ]);
    const csv = await (await fetch(`${url}?format=csv`)).text();
    expect(await (await fetch(`${url}?format=csv`, { headers: { Range: 'bytes=0-4' } })).text()).toBe(csv.slice(0, 5));
    const outside = await fetch(url, { headers: { Range: `bytes=${whole.length}-` } });
    expect(outside.headers.get('content-type')).toContain('application/json');
    expect([outside.status, ((await outside.json()) as { error: { code: string } }).error.code]).toEqual([
      416,
      'RANGE_INVALID',
    ]);
  });

  it('sends its events, from the last one that was received', async () => {
    const { id } = await service.client.jobs.create(tiny(200));
    const all: { id: number; data: JobEvent }[] = [];
    for await (const event of service.client.jobs.events(id)) all.push(event);
    expect(all.at(-1)?.data).toMatchObject({ event: 'end', status: 'completed', done: 200 });
    expect(all.map((event) => event.id)).toEqual(all.map((_, i) => i + 1));
    const later: number[] = [];
    for await (const event of service.client.jobs.events(id, { lastEventId: all.length - 1 })) later.push(event.id);
    expect(later).toEqual([all.length]);
  });

  it('is created once for an Idempotency-Key, which is refused for another list', async () => {
    const first = await service.client.jobs.create(tiny(2), {}, { idempotencyKey: 'once' });
    const [second, third] = await Promise.all(
      [1, 2].map(() => service.client.jobs.create(tiny(2), {}, { idempotencyKey: 'once' })),
    );
    expect([second?.id, third?.id]).toEqual([first.id, first.id]);
    const other = await service.client.jobs
      .create(tiny(3), {}, { idempotencyKey: 'once' })
      .catch((error: unknown) => error as ServiceError);
    expect(other).toMatchObject({ status: 409, code: 'IDEMPOTENCY_CONFLICT' });
  });

  it('is created once for concurrent requests with one key', async () => {
    const jobs = await Promise.all(
      Array.from({ length: 6 }, () => service.client.jobs.create(tiny(40), {}, { idempotencyKey: 'at-once' })),
    );
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(1);
    const { id } = jobs[0] as { id: string };
    expect(await service.client.jobs.wait(id)).toMatchObject({ status: 'completed', done: 40, failed: 0 });
    expect(await inputs(id)).toEqual(Array.from({ length: 40 }, (_, i) => `n${i} quality ok`));
  });

  it('leaves no files if it was not accepted, also when the service was killed meanwhile', async () => {
    const folder = join(dataDir, 'jobs');
    const before = await readdir(folder);
    await service.close();
    for (const name of [`job_${'0'.repeat(24)}.part-000000000000`, `job_${'1'.repeat(24)}`, 'kept'])
      await mkdir(join(folder, name));
    service = await start();
    expect((await readdir(folder)).sort()).toEqual([...before, 'kept'].sort());
    await rm(join(folder, 'kept'), { recursive: true });
  });

  it('can be cancelled, and keeps its results', async () => {
    const { id } = await service.client.jobs.create(tiny(MANY));
    await expect.poll(async () => (await service.client.jobs.get(id)).done, { timeout: 30_000 }).toBeGreaterThan(0);
    expect((await service.client.jobs.cancel(id)).status).toBe('cancelled');
    const ended = await service.client.jobs.wait(id);
    expect(ended.status).toBe('cancelled');
    expect(await inputs(id)).toHaveLength(ended.done);
    expect((await service.client.jobs.cancel(id)).status).toBe('cancelled');
  });

  it('stays cancelled while results of running items arrive', async () => {
    for (let round = 0; round < 2; round++) {
      const { id } = await service.client.jobs.create(tiny(MANY));
      await expect
        .poll(async () => (await service.client.jobs.get(id)).done, { timeout: 30_000, interval: 5 })
        .toBeGreaterThan(0);
      await service.client.jobs.cancel(id);
      const seen = new Set<string>();
      do seen.add((await service.client.jobs.get(id)).status);
      while (service.services.jobs.isActive(id));
      expect([...seen, (await service.client.jobs.get(id)).status]).toEqual(['cancelled', 'cancelled']);
    }
  });

  it.each([
    ['a bad line', `${tiny(1)}{"path": 7}\n`, 422, /Item 2/],
    ['no line', '\n\n', 422, /empty/],
    ['a line that is not UTF-8', new Blob([new Uint8Array([0xff, 0xfe, 10])]), 422, /UTF-8/],
  ] as const)('is refused for %s', async (_what, list, status, message) => {
    const error = await service.client.jobs.create(list).catch((thrown: unknown) => thrown as ServiceError);
    expect(error).toMatchObject({ status, message: expect.stringMatching(message) as string });
  });

  it('accepts a list on the server or a form, and refuses paths outside the root', async () => {
    const form = new FormData();
    form.append('file', new Blob(['pristine.jpg\n']), 'list.txt');
    form.append('tasks', 'aesthetics');
    const uploaded = (await (await fetch(`${service.url}/v1/jobs`, { method: 'POST', body: form })).json()) as {
      id: string;
      tasks: string[];
    };
    expect(uploaded.tasks).toEqual(['aesthetics']);
    const outside = await service.client.jobs
      .create({ manifest_path: '../../../etc/passwd' })
      .catch((thrown: unknown) => thrown as ServiceError);
    expect(outside).toMatchObject({ status: 403, code: 'PATH_FORBIDDEN' });
    expect((await service.client.jobs.wait(uploaded.id)).failed).toBe(0);
  });

  it('resumes after the service ended in the middle, and scores each item once', async () => {
    const { id } = await service.client.jobs.create(tiny(MANY));
    await expect.poll(async () => (await service.client.jobs.get(id)).done, { timeout: 30_000 }).toBeGreaterThan(10);
    await service.close();
    service = await start();
    const before = (await service.client.jobs.get(id)).done;
    expect(before).toBeLessThan(MANY);
    expect(await service.client.jobs.wait(id)).toMatchObject({ status: 'completed', done: MANY, failed: 0 });
    expect(await inputs(id)).toEqual(Array.from({ length: MANY }, (_, i) => `n${i} quality ok`));
  });

  it('is deleted with its results after keep_days, if it is set', async () => {
    const place = await mkdtemp(join(tmpdir(), 'qalign-old-jobs-'));
    const run = (...overrides: string[]): Promise<TestService> =>
      startService(overrides, { dataDir: place, ...withoutPython });
    try {
      const first = await run();
      const [old, recent] = [await first.client.jobs.create(tiny(2)), await first.client.jobs.create(tiny(3))];
      for (const { id } of [old, recent]) await first.client.jobs.wait(id);
      await first.close();
      const kept = await run();
      expect((await kept.client.jobs.list()).jobs).toHaveLength(2);
      await kept.close();
      const early = await run('jobs.keep_days=1');
      expect((await early.client.jobs.list()).jobs).toHaveLength(2);
      await early.close();
      const database = openServiceDatabase(place);
      database.prepare('UPDATE jobs SET kept_from = kept_from - 90000 WHERE id = ?').run(old.id);
      database.close();
      const second = await run('jobs.keep_days=1');
      expect((await second.client.jobs.list()).jobs.map(({ id }) => id)).toEqual([recent.id]);
      expect(await readdir(join(place, 'jobs'))).toEqual([recent.id]);
      await second.close();
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  });

  it('removes an incomplete last item after a kill', async () => {
    const { id } = await service.client.jobs.create(tiny(MANY), { tasks: ['quality', 'aesthetics'] });
    await expect.poll(async () => (await service.client.jobs.get(id)).done, { timeout: 30_000 }).toBeGreaterThan(5);
    await service.close();
    const { truncate } = await import('node:fs/promises');
    const file = join(dataDir, 'jobs', id, 'results.jsonl');
    const text = await readFile(file, 'utf8');
    await truncate(file, Buffer.byteLength(text) - 700); // mid-line: one of two tasks can be complete
    service = await start();
    expect(await service.client.jobs.wait(id)).toMatchObject({ status: 'completed', done: MANY });
    expect(await inputs(id)).toEqual(
      Array.from({ length: MANY }, (_, i) => [`n${i} quality ok`, `n${i} aesthetics ok`]).flat(),
    );
  });
});

describe('Idempotency-Key of a score', () => {
  it('gives the first answer again, refuses another request, and outlives a restart', async () => {
    const send = (id: string): Promise<Response> =>
      fetch(`${service.url}/v1/score`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'k1' },
        body: JSON.stringify({ items: [{ id, base64: EXAMPLE_PICTURE }] }),
      });
    const first = await send('a');
    const body = await first.text();
    expect([first.status, first.headers.get('idempotency-replayed')]).toEqual([200, null]);
    await service.close();
    service = await start();
    const again = await send('a');
    expect([await again.text(), again.headers.get('idempotency-replayed')]).toEqual([body, 'true']);
    expect((await send('b')).status).toBe(409);
    expect(
      (await service.client.score([{ id: 'c', base64: EXAMPLE_PICTURE }], {}, { idempotencyKey: 'k2' })).scored,
    ).toBe(1);
  });
});

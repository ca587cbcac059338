import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobShard, ServiceError } from '../../../src/client/client.js';
import type { ScoreSource } from '../../../src/recipes/score/scorer.js';
import { openServiceDatabase } from '../../../src/server/service-database.js';
import { fakeShardParts, prepareLastByte } from '../../recipes/shards/shard-scorer.js';
import { picture, shardOf } from '../../recipes/shards/make-shards.js';
import { startService, type TestService } from '../start-service.js';

let folder: string;
let root: string;
let service: TestService;
/** Pause for each picture, so that a test can act while a job runs. */
let pauseMs = 0;

const prepare = async (source: ScoreSource): ReturnType<typeof prepareLastByte> => {
  await sleep(pauseMs);
  return prepareLastByte(source);
};
// the service scores a probe picture first, which is no PPM
const prepareAny = async (source: ScoreSource): ReturnType<typeof prepareLastByte> =>
  source.input === 'probe' ? prepareLastByte({ ...source, media: picture(16) }) : prepare(source);
const start = (overrides: readonly string[] = []): Promise<TestService> =>
  startService([`root=${root}`, 'rate_per_minute=0', ...overrides], {
    dataDir: join(folder, 'data'),
    createScorer: (options) => fakeShardParts({ engineCalls: [], closed: 0 }, prepareAny).createScorer(options),
  });

beforeEach(async () => {
  pauseMs = 0;
  folder = await mkdtemp(join(tmpdir(), 'qalign-shard-jobs-'));
  root = join(folder, 'root');
  await mkdir(join(root, 'in'), { recursive: true });
  for (const name of ['a', 'b', 'c']) await writeFile(join(root, 'in', `${name}.tar`), shardOf(name, 6));
  service = await start();
});
afterEach(async () => {
  await service.close();
  await rm(folder, { recursive: true, force: true });
});

const shards = async (id: string): Promise<JobShard[]> => {
  const all: JobShard[] = [];
  for await (const one of service.client.jobs.shards(id)) all.push(one);
  return all;
};
const refused = (body: object): Promise<ServiceError> =>
  service.client.jobs.create(body as never).then(
    () => Promise.reject(new Error('the job was accepted')),
    (error: unknown) => error as ServiceError,
  );

describe('a job over shards', () => {
  it('writes one result for each shard, lists them, and counts shards and items', async () => {
    await writeFile(join(root, 'in', 'b.tar'), 'no tar');
    const job = await service.client.jobs.create({ shards: ['in/{a..c}.tar', 'in/{a,b,c}.tar'], out: 'made/out' });
    expect(job).toMatchObject({ total: 3, items: 0 });
    const ended = await service.client.jobs.wait(job.id);
    expect(ended).toMatchObject({ status: 'completed', total: 3, done: 3, failed: 1, items: 12 });
    expect(await shards(job.id)).toEqual([
      { shard: 'in/a.tar', state: 'done', output: 'made/out/a.scores.parquet', items: 6, failed: 0 },
      { shard: 'in/b.tar', state: 'failed', error: { code: 'SHARD_DAMAGED', message: expect.any(String) as string } },
      { shard: 'in/c.tar', state: 'done', output: 'made/out/c.scores.parquet', items: 6, failed: 0 },
    ]);
    expect((await readdir(join(root, 'made/out'))).sort()).toEqual([
      'a.scores.parquet',
      'c.scores.parquet',
      'qalign-manifest.jsonl',
    ]);
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    expect(metrics).toMatch(/qalign_shards_total\{outcome="written"\} 2/);
    expect(metrics).toMatch(/qalign_shards_total\{outcome="failed"\} 1/);
    expect(metrics).toMatch(/qalign_items_total\{outcome="scored"\} 12/);
    const csv = await fetch(`${service.url}/v1/jobs/${job.id}/results?format=csv`);
    expect([csv.status, ((await csv.json()) as { error: { code: string } }).error.code]).toEqual([
      406,
      'NOT_ACCEPTABLE',
    ]);
  });

  it('finds shards by wildcard, writes JSON lines and key lists, and finds its results present', async () => {
    const body = { shards: ['in/*.tar'], out: 'out', format: 'jsonl', keep: 'score>=1', limit: 2 } as const;
    const first = await service.client.jobs.create(body);
    expect(await service.client.jobs.wait(first.id)).toMatchObject({ status: 'completed', done: 3, items: 6 });
    const text = await readFile(join(root, 'out/a.scores.jsonl'), 'utf8');
    expect(text.trim().split('\n')).toHaveLength(2);
    expect(text).not.toContain(folder);
    const second = await service.client.jobs.create(body);
    expect(await service.client.jobs.wait(second.id)).toMatchObject({ status: 'completed', done: 3, failed: 0 });
    expect(await readFile(join(root, 'out/a.scores.jsonl'), 'utf8')).toBe(text);
    expect(await (await fetch(`${service.url}/metrics`)).text()).toMatch(/qalign_shards_total\{outcome="present"\} 3/);
  });

  it('names nothing outside the root, also not through links, lists and rows', async () => {
    await writeFile(join(folder, 'secret.tar'), shardOf('secret', 1));
    await writeFile(join(folder, 'secret.ppm'), picture(1));
    await symlink(folder, join(root, 'link'));
    await writeFile(
      join(root, 'in', 'rows.jsonl'),
      '{"key":"k","path":"../../secret.ppm"}\n{"key":"l","path":"/x.ppm"}\n',
    );
    await writeFile(join(root, 'names.txt'), '../secret.tar\n');
    for (const body of [
      { shards: ['in/a.tar'], out: '../out' },
      { shards: ['in/a.tar'], out: join(folder, 'out') },
      { shards: ['in/a.tar'], out: 'link/out' },
      { shards: ['in/a.tar'], out: 's3://bucket/out' },
      { shards: ['s3://bucket/*.tar'], out: 'out' },
      { shards: ['../*.tar'], out: 'out' },
      { shards: ['.hidden/list.txt'], out: 'out' },
    ])
      expect((await refused(body)).code, JSON.stringify(body)).toBe('PATH_FORBIDDEN');
    expect((await refused({ shards: ['link/*.tar'], out: 'out' })).code).toBe('SHARD_NOT_FOUND');
    const job = await service.client.jobs.create({
      shards: ['../secret.tar', 'link/secret.tar', 'names.txt', 's3://bucket/a.tar', 'in/rows.jsonl'],
      out: 'out',
    });
    const ended = await service.client.jobs.wait(job.id);
    expect(ended).toMatchObject({ status: 'completed', done: 4, failed: 3 });
    expect((await shards(job.id)).map(({ shard, error, failed }) => [shard, error?.code ?? failed])).toEqual([
      ['../secret.tar', 'PATH_FORBIDDEN'],
      ['in/rows.jsonl', 2],
      ['link/secret.tar', 'PATH_FORBIDDEN'],
      ['s3://bucket/a.tar', 'PATH_FORBIDDEN'],
    ]);
    expect((await readdir(folder)).sort()).toEqual(['data', 'root', 'secret.ppm', 'secret.tar']);
  });

  it('refuses settings that it does not have, and settings of shards without shards', async () => {
    for (const body of [
      { shards: ['in/a.tar'] },
      { shards: ['in/a.tar'], out: 'out', scale: 'unit' },
      { shards: ['in/a.tar'], out: 'out', keep: 'score' },
      { shards: ['in/a.png'], out: 'out' },
      { items: [{ path: 'a.png' }], out: 'out' },
    ])
      expect((await refused(body)).code, JSON.stringify(body)).toBe('BODY_INVALID');
  });

  it('can be cancelled, and leaves no half result', async () => {
    pauseMs = 200;
    const job = await service.client.jobs.create({ shards: ['in/*.tar'], out: 'out' });
    await expect.poll(async () => (await service.client.jobs.get(job.id)).status).toBe('running');
    await service.client.jobs.cancel(job.id);
    const ended = await service.client.jobs.wait(job.id);
    expect(ended.status).toBe('cancelled');
    await expect.poll(() => service.services.jobs.isActive(job.id)).toBe(false);
    const done = (await shards(job.id)).map(({ output = '' }) => output.replace('out/', ''));
    const there = await readdir(join(root, 'out')).catch(() => []);
    expect(there.filter((name) => name !== 'qalign-manifest.jsonl').sort()).toEqual(done.sort());
    expect(done.length).toBeLessThan(3);
  });

  it('continues after a kill: committed results are present, and nothing is scored twice', async () => {
    const job = await service.client.jobs.create({ shards: ['in/*.tar'], out: 'out' });
    await service.client.jobs.wait(job.id);
    const before = await Promise.all(['a', 'b', 'c'].map((name) => readFile(join(root, `out/${name}.scores.parquet`))));
    await service.close();
    // as a kill after the commit of b and before its line was complete
    const lines = join(folder, 'data/jobs', job.id, 'results.jsonl');
    await truncate(lines, (await readFile(lines, 'utf8')).indexOf('\n') + 10);
    await rm(join(root, 'out/c.scores.parquet'));
    const database = openServiceDatabase(join(folder, 'data'));
    database.prepare("UPDATE jobs SET status = 'running', done = 0, items = 0, finished_at = NULL").run();
    database.close();
    service = await start();
    expect(await service.client.jobs.wait(job.id)).toMatchObject({
      status: 'completed',
      done: 3,
      failed: 0,
      items: 18,
    });
    expect((await shards(job.id)).map(({ shard }) => shard)).toEqual(['in/a.tar', 'in/b.tar', 'in/c.tar']);
    const after = await Promise.all(['a', 'b', 'c'].map((name) => readFile(join(root, `out/${name}.scores.parquet`))));
    expect(after.map((bytes, at) => bytes.equals(before[at] as Buffer))).toEqual([true, true, true]);
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    expect(metrics).toMatch(/qalign_shards_total\{outcome="present"\} 1/);
    expect(metrics).toMatch(/qalign_shards_total\{outcome="written"\} 1/);
  });
});

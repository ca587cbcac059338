import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expandShards } from '../../../src/recipes/shards/expand.js';
import { createStores } from '../../../src/recipes/shards/store/open-stores.js';
import { collect, shardOf } from './make-shards.js';
import { motoPackages, startMoto, startProxy, type TestServer } from './s3-server.js';
import { runFake } from './shard-scorer.js';

const executable = process.env['QALIGN_PYTHON'] as string; // from the global setup
const packages = await motoPackages(executable);
if (packages instanceof Error) process.stderr.write(`NOT RUN: shards in object storage (${packages.message})\n`);

describe.skipIf(packages instanceof Error)('shards in object storage', () => {
  let server: TestServer;
  let client: S3Client;
  let out: string;
  let runs = 0;

  beforeAll(async () => {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
    server = await startMoto(executable, packages as string);
    client = new S3Client({ endpoint: server.url, region: 'us-east-1', forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: 'data' }));
    for (const name of ['a', 'b'])
      await client.send(new PutObjectCommand({ Bucket: 'data', Key: `in/${name}.tar`, Body: shardOf(name, 20, 40) }));
  });
  afterAll(async () => {
    client.destroy();
    await server.stop();
  });
  beforeEach(() => {
    process.env['AWS_ENDPOINT_URL'] = server.url;
    out = `s3://data/out${(runs += 1)}`;
  });

  const bytesOf = async (uri: string): Promise<Buffer> => {
    const [, , Bucket, ...parts] = uri.split('/');
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: parts.join('/') }));
    return Buffer.from(await Body!.transformToByteArray());
  };
  const keysOf = async (uri: string): Promise<string[]> => {
    const Prefix = `${uri.slice('s3://data/'.length)}/`;
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: 'data', Prefix }));
    return Contents.map(({ Key = '' }) => Key.slice(Prefix.length));
  };

  it('are found by globs, scored into objects, and not computed again', async () => {
    expect((await expandShards(['s3://data/in/*.tar'])).map(({ shard }) => shard)).toEqual([
      's3://data/in/a.tar',
      's3://data/in/b.tar',
    ]);
    const options = { shards: ['s3://data/in/*.tar'], out, keep: 'score>=1' };
    expect((await runFake(options)).summary).toMatchObject({ written: 2, failed: 0, items: 40 });
    expect(await keysOf(out)).toEqual([
      ...['a.keep.txt', 'a.scores.parquet', 'b.keep.txt', 'b.scores.parquet', 'qalign-manifest.jsonl'],
    ]);
    const before = await bytesOf(`${out}/a.scores.parquet`);
    expect((await runFake(options)).summary).toMatchObject({ written: 0, present: 2 });
    expect(await bytesOf(`${out}/a.scores.parquet`)).toEqual(before);
  });

  it('are committed once by two runs at the same time, with the same bytes as by one', async () => {
    const both = await Promise.all([1, 2].map(() => runFake({ shards: ['s3://data/in/{a,b}.tar'], out })));
    const commits = both.flatMap(({ events }) => events.map((event) => (event as { commit?: string }).commit));
    expect(commits.sort()).toEqual(['present', 'present', 'written', 'written']);
    const alone = 's3://data/alone';
    await runFake({ shards: ['s3://data/in/{a,b}.tar'], out: alone });
    for (const name of ['a', 'b'])
      expect(await bytesOf(`${out}/${name}.scores.parquet`)).toEqual(await bytesOf(`${alone}/${name}.scores.parquet`));
  });

  it('keep the result of the run that was first, and refuse another score_version', async () => {
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow = runFake({ shards: ['s3://data/in/a.tar'], out, scale: 'unit' }, async (source) => {
      await held;
      return (await import('./shard-scorer.js')).prepareLastByte(source);
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await runFake({ shards: ['s3://data/in/a.tar'], out });
    const before = await bytesOf(`${out}/a.scores.parquet`);
    release();
    await expect(slow).rejects.toMatchObject({ code: 'RESUME_MISMATCH' });
    expect(await bytesOf(`${out}/a.scores.parquet`)).toEqual(before);
  });

  it('survive answers of 503 and cut answers, and then have the same bytes', async () => {
    await runFake({ shards: ['s3://data/in/{a,b}.tar'], out: 's3://data/calm' });
    const proxy = await startProxy(server.url, (number, method, path) =>
      number % 3 === 0 ? '503' : method === 'GET' && path.includes('/in/') && number % 3 === 1 ? 'cut' : 'pass',
    );
    try {
      process.env['AWS_ENDPOINT_URL'] = proxy.url;
      const { summary, events } = await runFake({ shards: ['s3://data/in/{a,b}.tar'], out });
      expect(summary, JSON.stringify(events)).toMatchObject({ written: 2, failed: 0 });
      expect(proxy.seen.filter((one) => one.endsWith('503')).length).toBeGreaterThan(3);
    } finally {
      await proxy.stop();
    }
    for (const name of ['a', 'b'])
      expect(await bytesOf(`${out}/${name}.scores.parquet`)).toEqual(
        await bytesOf(`s3://data/calm/${name}.scores.parquet`),
      );
  });

  it('fail alone when the storage keeps answering 503', async () => {
    const proxy = await startProxy(server.url, (_, method, path) =>
      path.includes('/in/a.tar') && method === 'GET' ? '503' : 'pass',
    );
    try {
      process.env['AWS_ENDPOINT_URL'] = proxy.url;
      const stores = createStores({ pauses: [10, 10] });
      const store = await stores.of('s3://data/in/a.tar');
      await expect(collect(store.stream('s3://data/in/a.tar'))).rejects.toMatchObject({
        code: 'STORAGE_FAILED',
        message: expect.stringMatching(/failed again and again \(503 SlowDown later\)/) as string,
      });
      expect(proxy.seen.filter((one) => one === 'GET 503')).toHaveLength(3);
      await stores.close();
    } finally {
      await proxy.stop();
    }
  });

  it('that do not exist are named, as is a bucket', async () => {
    const { events } = await runFake({ shards: ['s3://data/in/none.tar'], out });
    expect(events).toMatchObject([{ event: 'failed', error: { code: 'SHARD_NOT_FOUND' } }]);
    await expect(expandShards(['s3://no-bucket/*.tar'])).rejects.toMatchObject({ code: 'STORAGE_REFUSED' });
  });

  it('can be lists of objects beside them, and no files of this machine', async () => {
    const line = (path: string): string => `${JSON.stringify({ path })}\n`;
    const Body = line('p.ppm') + line('/etc/hostname') + line('../../other/x.ppm') + line('s3://data/none.ppm');
    await client.send(new PutObjectCommand({ Bucket: 'data', Key: 'in/list.jsonl', Body }));
    await client.send(new PutObjectCommand({ Bucket: 'data', Key: 'in/p.ppm', Body: 'P6\n1 1\n255\nabc' }));
    await runFake({ shards: ['s3://data/in/list.jsonl'], out, format: 'jsonl' });
    const rows = (await bytesOf(`${out}/list.scores.jsonl`)).toString().split('\n').slice(0, -1);
    const codes = rows.map((row) => (JSON.parse(row) as { error?: { code: string } }).error?.code);
    expect(codes).toEqual([undefined, 'MEDIA_NOT_FOUND', 'MEDIA_NOT_FOUND', 'MEDIA_NOT_FOUND']);
  });
});

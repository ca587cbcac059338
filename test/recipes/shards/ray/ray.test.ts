import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageVersion } from '../../../../src/base/package-root.js';
import type { EndEvent, RayEvent } from '../../../../src/recipes/shards/ray/events.js';
import { readRayHead } from '../../../../src/recipes/shards/ray/head.js';
import { packRayJob, rayJobName, type RayJob } from '../../../../src/recipes/shards/ray/job.js';
import { runOnRay, stopOnRay } from '../../../../src/recipes/shards/ray/run-on-ray.js';
import { zip } from '../../../../src/recipes/shards/ray/zip.js';
import { startFakeHead, type FakeHead } from './fake-head.js';

const job: RayJob = {
  command: ['qalign', 'score', '--shard-worker', '--out', '/out'],
  device: 'auto',
  shards: [
    { shard: '/data/a.tar', output: 'a.scores.parquet' },
    { shard: '/data/b ä.tar', output: 'b ä.scores.parquet' },
  ],
};
const name = rayJobName(job);
const done = (index: number): string =>
  `${JSON.stringify({ event: 'done', shard: `s${index}`, index, output: 'o', items: 1, failed: 0, seconds: 1, commit: 'written' })}\n`.replaceAll(
    '":',
    '": ',
  );
const END = '{"event": "end", "failed": [], "aside": []}\n';

/** Names → contents, read from the local headers of an archive. */
function unzip(bytes: Buffer): Record<string, string> {
  const files: Record<string, string> = {};
  for (let at = 0; bytes.readUInt32LE(at) === 0x04034b50;) {
    const [packed, size] = [bytes.readUInt32LE(at + 18), bytes.readUInt32LE(at + 22)];
    const start = at + 30 + bytes.readUInt16LE(at + 26) + bytes.readUInt16LE(at + 28);
    const path = bytes.toString('utf8', at + 30, at + 30 + bytes.readUInt16LE(at + 26));
    files[path] = inflateRawSync(bytes.subarray(start, start + packed)).toString();
    expect(Buffer.byteLength(files[path])).toBe(size);
    at = start + packed;
  }
  return files;
}

describe('the package of a job', () => {
  it('has the driver and the description, in the same bytes each time', async () => {
    const { name: file, bytes } = await packRayJob({ ...job, actors: 3 });
    const files = unzip(bytes);
    expect(Object.keys(files)).toEqual(
      expect.arrayContaining(['qalign/__init__.py', 'qalign/ray/__main__.py', 'qalign/ray/dispatcher.py', 'job.json']),
    );
    expect(JSON.parse(files['job.json'] ?? '')).toEqual({ version: packageVersion, ...job, actors: 3, cpus: null });
    expect(file).toMatch(/^_ray_pkg_[0-9a-f]{32}\.zip$/);
    expect((await packRayJob({ ...job, actors: 3 })).bytes.equals(bytes)).toBe(true);
  });

  it('ends with a directory that names every file', () => {
    const bytes = zip({ 'a/ü.txt': Buffer.from('text'), b: Buffer.alloc(0) });
    const end = bytes.length - 22;
    expect([bytes.readUInt32LE(end), bytes.readUInt16LE(end + 10)]).toEqual([0x06054b50, 2]);
    const directory = bytes.readUInt32LE(end + 16);
    expect(directory + bytes.readUInt32LE(end + 12)).toBe(end);
    expect(bytes.readUInt32LE(directory)).toBe(0x02014b50);
    expect(bytes.readUInt32LE(directory + 42)).toBe(0);
    expect(unzip(bytes)).toEqual({ 'a/ü.txt': 'text', b: '' });
  });

  it('has a name that depends on the work, not on the number of workers', () => {
    expect(rayJobName({ ...job, actors: 9, cpus: 2 })).toBe(name);
    expect(rayJobName({ ...job, device: 'cpu' })).not.toBe(name);
    expect(rayJobName({ ...job, shards: job.shards.slice(1) })).not.toBe(name);
    expect(rayJobName({ ...job, command: [...job.command, '--strict'] })).not.toBe(name);
  });
});

describe('the address of a head', () => {
  const read = (url: string, env: NodeJS.ProcessEnv = {}, tokenFile?: string): ReturnType<typeof readRayHead> =>
    readRayHead({ url, tokenFile }, env);

  it.each(['http://127.0.0.1:8265', 'http://localhost:8265/', 'http://[::1]:8265'])(
    '%s needs no token',
    async (url) => {
      expect(await read(url)).toEqual({ url: url.replace(/\/$/, ''), token: undefined });
    },
  );

  it.each(['http://10.0.0.1:8265', 'https://ray.example.org', 'http://127.0.0.1.example.org', 'http://0.0.0.0:8265'])(
    '%s needs one',
    async (url) => {
      await expect(read(url)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('token') as string,
      });
      expect((await read(url, { RAY_AUTH_TOKEN: ' secret\n' })).token).toBe('secret');
    },
  );

  it.each(['127.0.0.1:8265', 'ray://127.0.0.1:10001', 'auto', 'http://user:word@127.0.0.1'])(
    '%s is none',
    async (url) => {
      await expect(read(url)).rejects.toMatchObject({ code: 'USAGE' });
    },
  );

  it('reads the token of a file, which has priority', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'qalign-token-'));
    try {
      writeFileSync(join(folder, 'token'), 'of-file\n');
      writeFileSync(join(folder, 'empty'), '\n');
      const url = 'http://10.0.0.1:8265';
      expect((await read(url, { RAY_AUTH_TOKEN: 'x' }, join(folder, 'token'))).token).toBe('of-file');
      expect((await read(url, { RAY_AUTH_TOKEN_PATH: join(folder, 'token') })).token).toBe('of-file');
      await expect(read(url, {}, join(folder, 'empty'))).rejects.toThrow('holds no token');
      await expect(read(url, {}, join(folder, 'none'))).rejects.toThrow('cannot be read');
      await expect(read(url, { RAY_AUTH_TOKEN: 'a\r\nHost: b' })).rejects.toThrow('holds no token');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a job', () => {
  let head: FakeHead;
  beforeEach(async () => {
    head = await startFakeHead('secret');
  });
  afterEach(() => head.close());

  const run = async (token = 'secret', signal = new AbortController().signal) => {
    const events: RayEvent[] = [];
    const ids: [string, boolean][] = [];
    const end: EndEvent | Error = await runOnRay({
      head: { url: head.url, token },
      job,
      signal,
      onJob: (id, attached) => ids.push([id, attached]),
      onEvent: (event) => events.push(event),
    }).catch((error: Error) => error);
    return { end, events, ids };
  };
  const shardsOf = (events: readonly RayEvent[]): string[] =>
    events.flatMap((event) => (event.event === 'done' ? [event.shard] : []));
  const endOf = (id: string, status: string, message = ''): void => {
    head.jobs.set(id, { ...(head.jobs.get(id) ?? { pieces: [] }), status, message });
  };

  it('is submitted with its package, and followed to its end', async () => {
    head.onSubmit = (id) => {
      head.jobs.set(id, {
        status: 'SUCCEEDED',
        message: '',
        // Ray writes lines of its own, and cuts long ones
        pieces: [
          'Runtime env is set up.\n{"event": "no',
          `tevent\n${done(0).slice(0, 20)}`,
          `${done(0).slice(20)}${done(1)}`,
          END,
        ],
      });
    };
    const { end, events, ids } = await run();
    expect(end).toEqual({ event: 'end', failed: [], aside: [] });
    expect(shardsOf(events)).toEqual(['s0', 's1']);
    expect(ids).toEqual([[name, false]]);
    const [[uri]] = [...head.packages] as [[string, Buffer]];
    expect(head.submitted).toEqual([
      {
        entrypoint: 'exec python -m qalign.ray',
        submission_id: name,
        runtime_env: { working_dir: `gcs://${uri}` },
        metadata: { qalign_shards: '2' },
      },
    ]);
  });

  it('that runs is attached to, without a second one', async () => {
    head.jobs.set(name, { status: 'RUNNING', message: '', pieces: [done(0)] });
    head.onTail = (id) => endOf(id, 'SUCCEEDED');
    (head.jobs.get(name) as { pieces: string[] }).pieces.push(END);
    const { end, ids } = await run();
    expect(end).toMatchObject({ event: 'end' });
    expect([ids, head.submitted]).toEqual([[[name, true]], []]);
  });

  it('that ended gets a successor with a new id', async () => {
    endOf(name, 'FAILED');
    endOf(`${name}-2`, 'SUCCEEDED');
    head.onSubmit = (id) => head.jobs.set(id, { status: 'SUCCEEDED', message: '', pieces: [END] });
    expect((await run()).ids).toEqual([[`${name}-3`, false]]);
  });

  it('that another client has just submitted is attached to', async () => {
    const has = head.jobs.has.bind(head.jobs);
    // it appears between the question and the submission
    head.jobs.has = (id) => {
      if (!has(id)) head.jobs.set(id, { status: 'RUNNING', message: '', pieces: [END] });
      return has(id);
    };
    head.onTail = (id) => endOf(id, 'SUCCEEDED');
    expect((await run()).ids).toEqual([[name, true]]);
  });

  it('whose connection breaks is followed on, and each line is read once', async () => {
    head.onSubmit = (id) =>
      head.jobs.set(id, { status: 'RUNNING', message: '', pieces: [done(0), done(1).slice(0, 9)] });
    head.onTail = (id) => {
      head.jobs.set(id, { status: 'SUCCEEDED', message: '', pieces: [done(0), done(1), done(2), END] });
      head.onTail = () => {};
      // the status is asked after the connection: the first time it still runs
      const job = head.jobs.get(id) as { status: string };
      job.status = 'RUNNING';
      setTimeout(() => (job.status = 'SUCCEEDED'), 500);
    };
    const { end, events } = await run();
    expect(end).toMatchObject({ event: 'end' });
    expect(shardsOf(events)).toEqual(['s0', 's1', 's2']);
  });

  it.each([
    [
      '{"event": "error", "error": {"code": "MODEL_NOT_FOUND", "message": "none"}}\n',
      'FAILED',
      'MODEL_NOT_FOUND',
      'none',
    ],
    [
      '{"event": "error", "error": {"code": "OF_ANOTHER_VERSION", "message": "odd"}}\n',
      'FAILED',
      'RAY_JOB_FAILED',
      'odd',
    ],
    [done(0), 'FAILED', 'RAY_JOB_FAILED', 'run the same command again'],
    [done(0), 'STOPPED', 'CANCELLED', 'was stopped'],
  ])('ends with its error: %s%s', async (log, status, code, says) => {
    head.onSubmit = (id) => head.jobs.set(id, { status, message: 'killed\nlog', pieces: [log] });
    expect((await run()).end).toMatchObject({ code, message: expect.stringContaining(says) as string });
  });

  it('is left by an aborted client, and stopped on request', async () => {
    const leave = new AbortController();
    head.onSubmit = (id) => head.jobs.set(id, { status: 'RUNNING', message: '', pieces: [done(0)] });
    head.onTail = () => leave.abort();
    expect((await run('secret', leave.signal)).end).toMatchObject({ code: 'CANCELLED' });
    expect(head.jobs.get(name)?.status).toBe('RUNNING');
    expect(await stopOnRay({ url: head.url, token: 'secret' }, job)).toBe(name);
    expect(head.jobs.get(name)?.status).toBe('STOPPED');
    expect(await stopOnRay({ url: head.url, token: 'secret' }, job)).toBeUndefined();
  });

  it('is refused with another token, and at an address that is no head', async () => {
    expect((await run('other')).end).toMatchObject({
      code: 'RAY_HEAD_FAILED',
      message: expect.stringContaining('refuses the token') as string,
    });
    expect(head.submitted).toEqual([]);
  });

  it('fails at once if nothing listens at the address', async () => {
    const started = performance.now();
    await head.close();
    expect((await run()).end).toMatchObject({
      code: 'RAY_HEAD_FAILED',
      message: expect.stringMatching(/cannot be reached \(ECONNREFUSED\), and nothing was submitted/) as string,
    });
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

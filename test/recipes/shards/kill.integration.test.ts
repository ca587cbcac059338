import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import type { ShardEvent } from '../../../src/recipes/shards/events.js';
import { createScorer } from '../../../src/recipes/score/create-scorer.js';
import { isFailure } from '../../../src/api/result.js';
import { picture, shardOf } from './make-shards.js';

const SHARDS = 5;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-kill-'));
  await mkdir(join(folder, 'in'));
  for (let at = 0; at < SHARDS; at++) await writeFile(join(folder, 'in', `${at}.tar`), shardOf(`s${at}`, 40, 64));
});
afterAll(() => rm(folder, { recursive: true }));

function start(args: readonly string[]): ChildProcess {
  const main = join(packageRoot, 'src/cli/main.ts');
  const line = ['--import', 'tsx', main, 'score', '--model', 'tiny-untrained', '--device', 'cpu', ...args];
  return spawn(process.execPath, line, { cwd: packageRoot, stdio: ['pipe', 'pipe', 'ignore'] });
}

async function* eventsOf(child: ChildProcess): AsyncGenerator<ShardEvent> {
  for await (const line of createInterface({ input: child.stdout! })) yield JSON.parse(line) as ShardEvent;
}

const contentOf = async (out: string): Promise<Record<string, string>> =>
  Object.fromEntries(
    await Promise.all(
      (await readdir(out)).map(async (name) => [name, (await readFile(join(out, name))).toString('base64')] as const),
    ),
  );

const runOf = (out: string): readonly string[] => [
  ...['--shards', join(folder, `in/{0..${SHARDS - 1}}.tar`), '--out', out, '--progress', 'json', '--keep', 'score>=1'],
];

describe('a run over shards that is killed at random moments', () => {
  it('has the same bytes as one that was not, with each shard written once', async () => {
    const calm = join(folder, 'calm');
    const whole = start(runOf(calm));
    const [code] = (await once(whole, 'exit')) as [number];
    expect(code).toBe(0);
    const out = join(folder, 'killed');
    const written: string[] = [];
    let kills = 0;
    for (let done = false; !done;) {
      const child = start(runOf(out));
      const exit = once(child, 'exit');
      let deadline: NodeJS.Timeout | undefined;
      for await (const event of eventsOf(child)) {
        if (event.event === 'done' && event.commit === 'written') written.push(event.shard);
        if ((event as { event: string }).event === 'end') done = true;
        // from the first event on, so that each attempt gets a little further
        if (kills < 4) deadline ??= setTimeout(() => child.kill('SIGKILL'), Math.random() * 1500);
      }
      clearTimeout(deadline);
      const [, signal] = (await exit) as [number | null, string | null];
      if (signal === 'SIGKILL') [kills, done] = [kills + 1, false];
    }
    expect(kills).toBeGreaterThan(0);
    expect(new Set(written).size).toBe(written.length);
    const [found, wanted] = [await contentOf(out), await contentOf(calm)];
    const named = Object.fromEntries(Object.entries(found).filter(([name]) => name !== 'qalign-manifest.jsonl'));
    delete wanted['qalign-manifest.jsonl']; // it names the output folder
    expect(named).toEqual(wanted);
  }, 600_000);

  it('equals single scores to 1e-5', async () => {
    const out = join(folder, 'lines');
    const child = start([...runOf(out), '--format', 'jsonl']);
    expect(((await once(child, 'exit')) as [number])[0]).toBe(0);
    const rows = (await readFile(join(out, '0.scores.jsonl'), 'utf8')).split('\n').slice(0, 6);
    await using scorer = await createScorer({ model: 'tiny-untrained', device: 'cpu' });
    for (const [at, text] of rows.entries()) {
      const row = JSON.parse(text) as { score: number; key: string };
      const alone = await scorer.score(new Uint8Array(picture((at * 13 + 2) % 256, 64)), { task: 'quality' });
      if (isFailure(alone)) throw new Error(alone.error.message);
      expect(Math.abs(alone.score - row.score)).toBeLessThan(1e-5);
    }
  }, 300_000);
});

describe('a shard worker', () => {
  const line = (at: number): string => `${JSON.stringify({ shard: join(folder, 'in', `${at}.tar`), index: at })}\n`;

  it('scores the shards of stdin, and ends within 2 s of SIGTERM without half a result', async () => {
    const out = join(folder, 'worker');
    const child = start(['--shard-worker', '--out', out]);
    const exit = once(child, 'exit');
    const kinds: string[] = [];
    child.stdin!.write(line(0));
    let stopped = 0;
    for await (const event of eventsOf(child)) {
      kinds.push(event.event);
      if (event.event !== 'done') continue;
      expect(event).toMatchObject({ index: 0, items: 40, failed: 0, commit: 'written' });
      child.stdin!.write(line(1) + line(2));
      await sleep(50);
      stopped = performance.now();
      child.kill('SIGTERM');
    }
    await exit;
    expect(performance.now() - stopped).toBeLessThan(3500); // 2 s, on a busy machine
    expect(kinds[0]).toBe('ready');
    expect((await readdir(out)).filter((name) => name.endsWith('.part'))).toEqual([]);
  }, 300_000);

  it('ends when stdin ends, and drops the shard at hand', async () => {
    const out = join(folder, 'closed');
    const child = start(['--shard-worker', '--out', out]);
    const exit = once(child, 'exit');
    for await (const event of eventsOf(child)) {
      if (event.event !== 'ready') continue;
      child.stdin!.end(line(3) + line(4));
    }
    expect(((await exit) as [number])[0]).toBe(0);
    const names = await readdir(out).catch(() => []);
    expect(names.filter((name) => name.endsWith('.part'))).toEqual([]);
  }, 300_000);

  it('says what is wrong with a line, and ends with another code than 0', async () => {
    const child = start(['--shard-worker', '--out', join(folder, 'wrong')]);
    const exit = once(child, 'exit');
    child.stdin!.write('{"shard": 3}\n');
    const events: ShardEvent[] = [];
    for await (const event of eventsOf(child)) events.push(event);
    expect(events.at(-1)).toMatchObject({ event: 'error', error: { code: 'USAGE', retry: false } });
    expect(((await exit) as [number])[0]).toBe(2);
  }, 300_000);
});

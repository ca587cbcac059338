import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../../src/base/package-root.js';
import type { RayEvent } from '../../../../src/recipes/shards/ray/events.js';
import { rayPrograms } from '../../../setup/ray.js';
import { tarOf } from '../make-shards.js';
import { startCluster, type Cluster } from './cluster.js';
import { processes, until, type Process } from './processes.js';

const SHARDS = 14;
const PICTURES = 4;
// sockets of Ray have long names, so this one is short
const work = mkdtempSync('/tmp/qr-');
const shards = join(work, 'shards');
const python = process.env['QALIGN_PYTHON'] as string; // from the global setup

let cluster: Cluster | undefined;
let missing = '';

beforeAll(async () => {
  const programs = await rayPrograms(python).catch((error: Error) => error);
  if (programs instanceof Error) {
    missing = programs.message;
    process.stderr.write(`NOT RUN: a Ray cluster (${missing})\n`);
    return;
  }
  mkdirSync(shards);
  const pictures = ['pristine.jpg', 'blurred.jpg', 'crushed.jpg'].map((name) =>
    readFileSync(join(packageRoot, 'test/fixtures/pictures', name)),
  );
  for (let shard = 0; shard < SHARDS; shard++) {
    const members = Array.from({ length: PICTURES }, (_, index) => {
      const bytes = pictures[(shard + index) % pictures.length] as Buffer;
      return { name: `${shard}-${index}.jpg`, bytes: shard === 3 && index === 2 ? bytes.subarray(0, 200) : bytes };
    });
    writeFileSync(join(shards, `${String(shard).padStart(3, '0')}.tar`), tarOf(members));
  }
  const bin = join(work, 'bin');
  mkdirSync(bin);
  const main = join(packageRoot, 'src/cli/main.ts');
  // ray sets OMP_NUM_THREADS to the CPUs of the actor; a local run has to use as many
  writeFileSync(
    join(bin, 'qalign'),
    `#!/bin/sh\nexec "${process.execPath}" --import "${join(packageRoot, 'node_modules/tsx/dist/esm/index.mjs')}" "${main}" "$@"\n`,
  );
  chmodSync(join(bin, 'qalign'), 0o755);
  const env = { QALIGN_PYTHON: python, PYTHONPATH: process.env['PYTHONPATH'] ?? '' };
  cluster = await startCluster(join(work, 'ray'), programs, bin, env);
}, 600_000);

const children = new Set<ChildProcess>();
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  const left = (await cluster?.close()) ?? [];
  rmSync(work, { recursive: true, force: true });
  expect(left).toEqual([]);
}, 60_000);

interface Run {
  readonly child: ChildProcess;
  readonly events: RayEvent[];
  stderr: string;
  readonly ended: Promise<number>;
}

/** Starts `qalign score --shards`. */
function score(out: string, more: readonly string[], env: Record<string, string> = {}): Run {
  const args = [
    'score',
    '--shards',
    join(shards, '*.tar'),
    '--out',
    out,
    '--model',
    'nano',
    '--progress',
    'json',
    ...more,
  ];
  const child = spawn(process.execPath, ['--import', 'tsx', join(packageRoot, 'src/cli/main.ts'), ...args], {
    cwd: packageRoot,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  const run: Run = {
    child,
    events: [],
    stderr: '',
    ended: once(child, 'close').then(([code]) => (children.delete(child), code as number)),
  };
  let open = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (open + text).split('\n');
    open = lines.pop() ?? '';
    run.events.push(...lines.map((line) => JSON.parse(line) as RayEvent));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (run.stderr += text));
  return run;
}

const onRay = (out: string, more: readonly string[] = [], env: Record<string, string> = {}): Run => {
  const { url, token } = cluster as Cluster;
  return score(out, ['--ray', url, ...more], { RAY_AUTH_TOKEN: token, ...env });
};

const count = ({ events }: Run, event: RayEvent['event']): number => events.filter((one) => one.event === event).length;
const digests = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((name) => name.includes('.scores.'))
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex'),
      ]),
  );

async function killOne(find: () => Process[]): Promise<Process> {
  await until('a process to kill', () => find().length > 0, 60_000);
  const found = find();
  const victim = found[Math.floor(Math.random() * found.length)] as Process;
  process.kill(victim.pid, 'SIGKILL');
  return victim;
}

/** Waits for so many further results, and a random moment after that. */
async function later(run: Run, results: number): Promise<void> {
  const goal = count(run, 'done') + results;
  await until(`${goal} results (${run.stderr.slice(-2000)})`, () => count(run, 'done') >= goal, 300_000);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 400));
}

describe('a Ray cluster of two nodes', () => {
  it('gives every shard once and with the bytes of an uninterrupted run, whatever is killed', async ({ skip }) => {
    if (cluster === undefined) return skip(missing);
    const { actors, workers, drivers, raylet } = cluster;
    const [local, out] = [join(work, 'local'), join(work, 'out')];
    const alone = score(local, ['--device', 'cpu'], { OMP_NUM_THREADS: '1' });
    expect(await alone.ended, alone.stderr).toBe(0);
    const expected = digests(local);
    expect(Object.keys(expected)).toHaveLength(SHARDS);

    const refused = onRay(out, [], { RAY_AUTH_TOKEN: 'another' });
    expect(await refused.ended).toBe(1);
    expect(refused.stderr).toContain('refuses the token');

    const first = onRay(out);
    await until('the job', () => first.stderr.includes('submitted the job'), 120_000);
    const attached = onRay(out); // the same command again
    await later(first, 1);
    await until('a second client', () => attached.stderr.includes('attached to the job'), 120_000);
    const below = raylet();
    const groups = actors().filter(({ pid }) => parentOf(pid) === below.pid);
    expect(groups).toHaveLength(1);
    process.kill(below.pid, 'SIGKILL');
    const killed = performance.now();
    const isGone = (): boolean => processes(({ group }) => groups.some((one) => one.group === group)).length === 0;
    await until('the end of the actor of the lost node', isGone, 5000);
    process.stderr.write(`the actor ended ${Math.round(performance.now() - killed)} ms after its raylet\n`);
    await later(first, 1);
    await killOne(workers);
    await later(first, 1);
    await killOne(actors);
    await later(first, 1);
    await killOne(drivers);
    expect(await first.ended, first.stderr).toBe(1);
    expect(first.stderr).toContain('RAY_JOB_FAILED');
    expect(await attached.ended, attached.stderr).toBe(1);
    expect(count(attached, 'done')).toBe(count(first, 'done'));

    const second = onRay(out);
    expect(await second.ended, second.stderr).toBe(0);
    expect(digests(out)).toEqual(expected);
    const written = [first, second].flatMap(({ events }) =>
      events.flatMap((event) => (event.event === 'done' && event.commit === 'written' ? [event.shard] : [])),
    );
    expect(new Set(written).size).toBe(written.length);

    const times = Object.keys(expected).map((name) => statSync(join(out, name)).mtimeMs);
    const third = onRay(out);
    expect(await third.ended, third.stderr).toBe(0);
    expect(third.events.flatMap((event) => (event.event === 'done' ? [event.commit] : []))).toEqual(
      Array.from({ length: SHARDS }, () => 'present'),
    );
    expect(Object.keys(expected).map((name) => statSync(join(out, name)).mtimeMs)).toEqual(times);
    await until('the end of all workers', () => workers().length + actors().length === 0, 10_000);
  }, 1_200_000);
});

function parentOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    return 0;
  }
}

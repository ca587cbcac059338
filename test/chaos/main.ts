/**
 * `npm run chaos -- --minutes 20 --seed 1 [--out FILE]`: clients use a service whose workers, disk and process are
 * attacked in a seeded order. Exits with 0 when no accepted item was lost, duplicated or wrong, descriptors and threads
 * grew by at most 5 %, and no process was left; with 1 otherwise.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { sampleMedia } from '../../src/base/package-root.js';
import { doFault, type Scene } from './faults.js';
import { growth, grown, LARGEST_GROWTH, sample, type Sample } from './gauges.js';
import { randomOf } from './ledger.js';
import { answersOf, createLoad, post } from './load.js';
import { createService, isReady, processes, signal, workersOf, type Service } from './service.js';

const PICTURES = ['blurred.jpg', 'crushed.jpg', 'noisy.webp', 'pristine.jpg'];
/** The service is restarted many times and grows after each start. `npm run soak` judges the memory of one process. */
const LARGEST_GROWTH_MB = 1.25;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  process.stderr.write('--minutes must be a positive number and --seed a whole number.\n');
  process.exit(2);
}

const began = Date.now();
const say = (text: string): void =>
  void process.stderr.write(`${((Date.now() - began) / 1000).toFixed(0).padStart(5)} s  ${text}\n`);
const work = mkdtempSync(join(tmpdir(), 'qalign-chaos-'));
const dataDir = join(work, 'data');
const root = join(work, 'root');
for (const folder of [dataDir, root]) mkdirSync(folder, { mode: 0o700 });
for (const name of PICTURES) copyFileSync(join(sampleMedia, name), join(root, name));
const small =
  process.getuid?.() === 0 &&
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=700', 'qalign-chaos', dataDir]).status === 0;
if (!small) say('NOT RUN: a full disk (needs root and mount)');

let log = '';
const complaints: string[] = [];
const complain = (sentence: string): void => {
  complaints.push(sentence);
  say(`WRONG: ${sentence}`);
};
const service = await createService(dataDir, root, (text) => (log += text));
try {
  await service.start();
  process.exitCode = report(await attack(service)) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  for (const { pid } of processes()) signal(pid, 'SIGKILL');
  await sleep(500);
  if (small) spawnSync('umount', ['-l', dataDir]);
  writeFileSync(join(tmpdir(), `qalign-chaos-${seed}.log`), log);
  rmSync(work, { recursive: true, force: true });
}

async function attack(target: Service) {
  const known = await knownScores(target.url);
  const random = randomOf(seed);
  const load = createLoad(target.url, known, randomOf(seed + 1));
  const scene: Scene = { service: target, dataDir, small, picture: PICTURES[0] as string, random, complain };
  const faults: Record<string, number> = {};
  const [own, workers]: [Sample[], Sample[]] = [[], []];
  const gauge = setInterval(() => {
    const pid = target.pid();
    const pids = workersOf(pid);
    if (pid === undefined || pids.length < 2) return; // the service or a worker is starting
    const [a, b] = [sample([pid]), sample(pids)];
    if (a !== undefined) own.push(a);
    if (b !== undefined) workers.push(b);
  }, 1000);
  for (const end = Date.now() + minutes * 60_000; Date.now() < end;) {
    await sleep(1000 + random() * 6000);
    const { name, what } = await doFault(scene);
    faults[name] = (faults[name] ?? 0) + 1;
    const { right, failed, cut } = load.scores;
    say(`${name}: ${what}; scores: ${right} right, ${failed} refused or failed, ${cut} cut off`);
  }
  say('no more faults; waiting for the jobs');
  for (const { pid, state } of processes()) if (state === 'T') signal(pid, 'SIGCONT');
  await load.stop();
  clearInterval(gauge);
  for (const end = Date.now() + 120_000; Date.now() < end && !(await isReady(target.url));) await sleep(500);
  if (!(await isReady(target.url))) complain('The service is not ready two minutes after the last fault.');
  await load.finish(600_000);
  say('jobs have ended; ending the service');
  await target.stop('SIGTERM');
  await sleep(2000);
  const left = processes().map(({ pid, command }) => `${pid} ${command}`);
  const grown = { service: growth(own), workers: growth(workers) };
  return { minutes, seed, faults, scores: load.scores, jobs: load.jobs, growth: grown, left };
}

async function knownScores(url: string): Promise<Map<string, number>> {
  const items = PICTURES.map((path) => ({ id: path, path }));
  const answer = await post(`${url}/v1/score`, { items, tasks: ['quality'] });
  if (answer?.status !== 200) throw new Error(`The pictures could not be scored: ${answer?.text}`);
  return new Map(answersOf(answer.text).map(({ input, score }) => [input, score ?? Number.NaN]));
}

function report(result: Awaited<ReturnType<typeof attack>>): boolean {
  const text = JSON.stringify({ ...result, complaints }, null, 1);
  process.stdout.write(`${text}\n`);
  if (values.out !== undefined) writeFileSync(values.out, `${text}\n`);
  const bad = [...complaints];
  for (const name of ['scores', 'jobs'] as const) {
    const { lost, twice, wrong, asked } = result[name];
    if (lost + twice + wrong > 0) bad.push(`${name}: ${lost} lost, ${twice} twice, ${wrong} wrong of ${asked}`);
    if (asked === 0) bad.push(`${name}: nothing was asked`);
  }
  bad.push(...grown(result.growth, { ...LARGEST_GROWTH, mb: LARGEST_GROWTH_MB }));
  if (result.left.length > 0) bad.push(`${result.left.length} processes were left over`);
  say(bad.length === 0 ? 'held: 0 lost, 0 twice, 0 wrong' : `DID NOT HOLD: ${bad.join('; ')}`);
  return bad.length === 0;
}

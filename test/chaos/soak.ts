/**
 * `npm run soak -- --requests 20000 --seed 1 [--out FILE]`: odd requests against one service, whose descriptors,
 * threads and memory are watched. Exits with 0 when the last quarter needed at most 5 % more than the second and no
 * answer was an error of the service; with 1 otherwise.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { sampleMedia } from '../../src/base/package-root.js';
import { growth, grown, quarters, sample, type Sample } from './gauges.js';
import { randomOf } from './ledger.js';
import { createService, isReady, processes, signal, workersOf, type Service } from './service.js';
import { sendOddRequests, wrongAnswers } from './soak-run.js';

const PICTURE = 'blurred.jpg';
const SAMPLES = 200;
/** In a shorter run the second quarter still warms up. */
const FEWEST_TO_JUDGE = 4000;

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});
const requests = Number(values.requests);
const seed = Number(values.seed);
if (!Number.isInteger(requests) || requests < 1 || !Number.isInteger(seed)) {
  process.stderr.write('--requests must be a whole number from 1 and --seed a whole number.\n');
  process.exit(2);
}

const work = mkdtempSync(join(tmpdir(), 'qalign-soak-'));
const [dataDir, root] = [join(work, 'data'), join(work, 'root')];
for (const folder of [dataDir, root]) mkdirSync(folder, { mode: 0o700 });
copyFileSync(join(sampleMedia, PICTURE), join(root, PICTURE));
let log = '';
const service = await createService(dataDir, root, (text) => (log += text), ['device=cpu']);
try {
  await service.start();
  process.exitCode = report(await soak(service)) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  for (const { pid } of processes()) signal(pid, 'SIGKILL');
  writeFileSync(join(tmpdir(), `qalign-soak-${seed}.log`), log);
  await sleep(200);
  rmSync(work, { recursive: true, force: true });
}

async function soak(target: Service) {
  const [own, worker]: [Sample[], Sample[]] = [[], []];
  const began = performance.now();
  const pids = workersOf(target.pid());
  const every = Math.max(8, Math.ceil(requests / SAMPLES));
  const look = async (): Promise<void> => {
    const [a, b] = [sample([target.pid() as number]), sample(pids)];
    if (a === undefined || b === undefined) throw new Error('The service or its worker has ended.');
    own.push(a);
    worker.push(b);
    if (own.length % 10 === 0)
      process.stderr.write(`${own.length * every} requests; ${JSON.stringify({ ...a, worker: b })}\n`);
  };
  const picture = { picture: PICTURE, bytes: readFileSync(join(root, PICTURE)) };
  const answers = await sendOddRequests(
    { port: target.port, ...picture, random: randomOf(seed) },
    { requests, every, look },
  );
  const seconds = Math.round((performance.now() - began) / 1000);
  const ready = await isReady(target.url);
  await target.stop('SIGTERM');
  return {
    requests,
    seed,
    seconds,
    answers,
    ready,
    quarters: { service: quarters(own), worker: quarters(worker) },
    growth: { service: growth(own), worker: growth(worker) },
  };
}

function report(result: Awaited<ReturnType<typeof soak>>): boolean {
  const text = JSON.stringify(result, null, 1);
  process.stdout.write(`${text}\n`);
  if (values.out !== undefined) writeFileSync(values.out, `${text}\n`);
  const bad = wrongAnswers(result.answers);
  if (!result.ready) bad.push('the service is not ready at the end');
  if (requests >= FEWEST_TO_JUDGE) bad.push(...grown(result.growth));
  process.stderr.write(bad.length === 0 ? 'held\n' : `DID NOT HOLD: ${bad.join('; ')}\n`);
  return bad.length === 0;
}

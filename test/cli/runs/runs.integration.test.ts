import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';

/**
 * `qalign train` and every `qalign runs` verb as processes, on the tiny checkpoint and the sample pictures and clip.
 */
const PICTURES = join(packageRoot, 'test/fixtures/pictures');
let folder: string;
let recipe: string;

interface Done {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(args: readonly string[]): { child: ReturnType<typeof spawn>; done: Promise<Done> } {
  const child = spawn(join(packageRoot, 'node_modules/.bin/tsx'), [join(packageRoot, 'src/cli/main.ts'), ...args], {
    cwd: folder,
    env: { ...process.env, QALIGN_RUNS: join(folder, 'runs'), OMP_NUM_THREADS: '1' },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (err += bytes.toString()));
  return { child, done: new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err }))) };
}

const qalign = (...args: string[]): Promise<Done> => start(args).done;
const events = async (run: string): Promise<{ event: string; step?: number; status?: string }[]> => {
  const text = await readFile(join(folder, 'runs', run, 'events.jsonl'), 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as { event: string }] : []));
};
async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((done) => setTimeout(done, 100));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-runs-'));
  const media = [
    ['pristine.jpg', 'image', 'excellent', 4.8],
    ['noisy.webp', 'image', 'fair', 3.1],
    ['pan.mp4', 'video', 'good', 4],
    ['crushed.jpg', 'image', 'bad', 1.2],
    ['missing.jpg', 'image', 'bad', 1],
  ] as const;
  const rows = media.map(([name, kind, level, mos], row) => ({
    id: name,
    media: join(PICTURES, name),
    kind,
    task: 'quality',
    dataset: 'toy',
    mos,
    level,
    question: `How would you rate the quality of this ${kind}?\n<|image|>`,
    answer: `The quality of the ${kind} is ${level}.`,
    split: 'train',
    source: { file: 'toy.csv', row: row + 1 },
  }));
  await writeFile(join(folder, 'records.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  recipe = join(folder, 'toy.yaml');
  await writeFile(
    recipe,
    'name: toy\nmodel: tiny-untrained\ndata: { train: [records.jsonl], dev: [records.jsonl] }\ndevice: cpu\nepochs: 2\nbatch_size: 4\nmicro_batch: 4\nlearning_rates: { default: 1e-3 }\n',
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('qalign train and runs', () => {
  it('plans as JSON and starts nothing', async () => {
    const plan = await qalign('train', recipe, '--plan', '--json');
    expect(plan.code).toBe(0);
    expect(JSON.parse(plan.out)).toMatchObject({ fits: true, prepared_bytes: expect.any(Number) as number });
    expect(existsSync(join(folder, 'runs/toy'))).toBe(false);
  }, 60_000);

  it('trains pictures and a clip, skips the missing one, and every verb knows the run', async () => {
    const done = await qalign('train', recipe, '--json');
    expect([done.code, done.err]).toEqual([0, expect.stringContaining('2 damaged files were skipped') as string]);
    expect(JSON.parse(done.out)).toMatchObject({ id: 'toy', status: 'completed', step: 2, skipped: 2 });
    expect((await events('toy'))[0]).toMatchObject({ event: 'started', items: 4, skipped: 2 });
    const second = await qalign('train', recipe, 'seed=1', 'ema=0.9', 'data.weights.toy=2');
    expect(second.out.trim()).toBe(join(folder, 'runs/toy-2'));

    expect(
      (await qalign('runs', 'list')).out.split('\n').map((line) => line.split('\t').slice(0, 3).join(' ')),
    ).toEqual(['run status step', 'toy completed 2/2', 'toy-2 completed 4/4', '']);
    expect(JSON.parse((await qalign('runs', 'list', '--json')).out)).toHaveLength(2);
    expect(JSON.parse((await qalign('runs', 'show', 'toy')).out)).toMatchObject({
      status: 'completed',
      recipe: { seed: 0, compute: 'fp32' },
      environment: { torch: expect.any(String) as string },
    });
    const watched = (await qalign('runs', 'watch', 'toy', '--json')).out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: string }).event);
    expect([watched[0], watched.at(-1)]).toEqual(['started', 'end']);
    const compared = JSON.parse((await qalign('runs', 'compare', 'toy', 'toy-2', '--json')).out) as {
      differing: string[];
    };
    expect(compared.differing).toEqual(expect.arrayContaining(['seed', 'ema', 'data']));
    expect((await qalign('runs', 'stop', 'toy')).code).toBe(1);

    const model = join(folder, 'exported');
    expect((await qalign('runs', 'export', 'toy', model)).code).toBe(0);
    expect((await qalign('runs', 'export', 'toy', model)).err).toContain('OUTPUT_UNWRITABLE');
    const scored = await qalign(
      'score',
      join(PICTURES, 'pristine.jpg'),
      join(PICTURES, 'pan.mp4'),
      '--model',
      model,
      '--format',
      'jsonl',
    );
    expect([scored.code, scored.out.trim().split('\n').length]).toEqual([0, 2]);
    expect((await qalign('runs', 'show', 'nothing')).err).toContain('RUN_NOT_FOUND');
  }, 600_000);

  it('stops by command and by SIGTERM, survives a killed Node, and always resumes to the same result', async () => {
    const long = ['epochs=40', 'save_every=1000'];
    const whole = await qalign('train', recipe, 'name=whole', ...long);
    expect(whole.code).toBe(0);
    const curve = async (run: string): Promise<Map<number | undefined, unknown>> =>
      new Map(
        (await events(run))
          .filter(({ event }) => event === 'step')
          .map((event) => [event.step, (event as { loss?: number }).loss]),
      );

    const stepped = (run: string, after: number): Promise<void> =>
      until(async () => (await events(run)).slice(after).some(({ event }) => event === 'step'));
    const first = start(['train', recipe, 'name=parted', ...long]);
    await stepped('parted', 0);
    const stop = await qalign('runs', 'stop', 'parted', '--json');
    expect((await first.done).code).toBe(0);
    expect(['stopped', 'completed']).toContain((JSON.parse(stop.out) as { status: string }).status);

    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const before = await events('parted');
      if (before.at(-1)?.status === 'completed') break; // on a fast machine
      const next = start(['runs', 'resume', 'parted']);
      await stepped('parted', before.length);
      next.child.kill(signal);
      await next.done;
      await until(async () => (await events('parted')).slice(before.length).some(({ event }) => event === 'end'));
    }
    // the trainers of a killed Node end after their current step
    await until(async () => (await qalign('runs', 'show', 'parted')).out.includes('"status": "running"') === false);
    if ((await events('parted')).at(-1)?.status !== 'completed')
      expect((await qalign('runs', 'resume', 'parted')).code).toBe(0);
    expect(await curve('parted')).toEqual(await curve('whole'));
  }, 900_000);
});

import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import type { ServiceError } from '../../../src/client/client.js';
import { type RunEvent } from '../../../src/client/client.js';
import { makeRecords } from '../../recipes/evaluate/records.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

let folder: string;
let root: string;
let service: TestService;
// the service's scorer is not tested here: trainings and evaluations start their own Python process
const start = (): Promise<TestService> =>
  startService([`root=${root}`, `runs_dir=${join(folder, 'runs')}`], {
    ...withoutPython,
    dataDir: join(folder, 'data'),
  });
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-work-'));
  root = join(folder, 'root');
  await mkdir(root);
  await makeRecords(root, 20, (record) => ({
    ...record,
    answer: `The quality of the image is ${String(record['level'])}.`,
  }));
  await writeFile(
    join(root, 'ratings.csv'),
    `file,mos\n${Array.from({ length: 20 }, (_, i) => `${i}.png,${(i * 7) % 20}\n`).join('')}`,
  );
  await cp(join(packageRoot, 'test/fixtures/golden/tiny_a/model'), join(root, 'tiny'), { recursive: true });
  await cp(join(packageRoot, 'test/fixtures/golden/tiny_a/inputs/00.png'), join(folder, 'secret.png'));
  const escaping = `${JSON.stringify({ id: 'x', media: '../secret.png' })}\n`;
  await writeFile(join(root, 'escaping.jsonl'), escaping);
  await writeFile(join(root, 'marked.jsonl'), `\ufeff${escaping}`);
  await writeFile(join(root, 'utf16.jsonl'), Buffer.from(`\ufeff${escaping}`, 'utf16le'));
  await writeFile(join(root, 'spaced.jsonl'), escaping.replace(':', ':\r'));
  await symlink(folder, join(root, 'way-out'));
  service = await start();
});
afterAll(async () => {
  await service.close();
  await rm(folder, { recursive: true, force: true });
});

const failure = async (promise: Promise<unknown>): Promise<ServiceError> =>
  promise.then(
    () => expect.fail('it was answered'),
    (error: unknown) => error as ServiceError,
  );
const collect = async (stream: AsyncIterable<{ id: number; data: RunEvent }>): Promise<RunEvent[]> => {
  const all: RunEvent[] = [];
  for await (const { data } of stream) all.push(data);
  return all;
};
const RECIPE = {
  name: 'toy',
  model: 'tiny', // a folder below the root, whose files are held open
  device: 'cpu',
  batch_size: 4,
  micro_batch: 4,
  learning_rates: { default: 1e-3 },
  data: { train: ['records.jsonl'] },
};

describe('/v1/train_runs', () => {
  it('trains, sends its events, can be stopped, resumed after a restart, and evaluated', async () => {
    const made = await service.client.trainRuns.create(
      { recipe: { ...RECIPE, max_steps: 12, epochs: 8 } },
      { idempotencyKey: 't1' },
    );
    expect(
      (
        await service.client.trainRuns.create(
          { recipe: { ...RECIPE, max_steps: 12, epochs: 8 } },
          { idempotencyKey: 't1' },
        )
      ).id,
    ).toBe(made.id);
    expect((await failure(service.client.trainRuns.create({ recipe: RECIPE }, { idempotencyKey: 't1' }))).code).toBe(
      'IDEMPOTENCY_CONFLICT',
    );
    let stopped = false;
    const events: RunEvent[] = [];
    for await (const { data } of service.client.trainRuns.events(made.id)) {
      events.push(data);
      if (data.event === 'step' && !stopped) {
        stopped = true;
        expect(await service.client.trainRuns.get(made.id)).toMatchObject({
          status: 'running',
          run: 'toy',
          total_steps: 12,
          recipe: { data: { train: ['records.jsonl'] } },
        });
        if (process.platform === 'linux') {
          const pid = parseInt(await readFile(join(folder, 'runs/toy/pid'), 'utf8'), 10);
          expect(await readFile(`/proc/${pid}/environ`, 'utf8')).toContain(`/works/${made.id}/held/0/tiny"}`);
        }
        expect((await failure(service.client.trainRuns.resume(made.id))).code).toBe('RUN_ACTIVE');
        await service.client.trainRuns.stop(made.id);
      }
    }
    expect(events.at(-1), JSON.stringify(service.logged.filter(({ level }) => level === 'error'))).toMatchObject({
      event: 'end',
      status: 'stopped',
    });
    expect(events.map(({ event }) => event)).toEqual(expect.arrayContaining(['started', 'step', 'checkpoint', 'end']));
    const { step } = await service.client.trainRuns.get(made.id);
    expect(step).toBeLessThan(12);
    expect(existsSync(join(folder, 'data/works', made.id, 'held'))).toBe(false);
    await service.close();
    service = await start();
    expect(await service.client.trainRuns.get(made.id)).toMatchObject({ status: 'stopped', step });
    expect((await service.client.trainRuns.resume(made.id)).status).toMatch(/queued|running/);
    // requested during the training, so it waits for the model
    const data = [{ name: 'made-up', records: 'records.jsonl' }];
    const chained = await service.client.evaluations.create({
      recipe: { name: 'chained', model: `run:${made.id}`, device: 'cpu', data },
    });
    expect(chained).toMatchObject({ status: 'queued', message: `It waits for the end of ${made.id}.` });
    const more = await collect(service.client.trainRuns.events(made.id, { lastEventId: events.length }));
    expect(more.filter(({ event }) => event === 'end')).toMatchObject([{ status: 'completed' }]);
    expect(await service.client.trainRuns.get(made.id)).toMatchObject({ status: 'completed', step: 12, run: 'toy' });
    expect((await service.client.trainRuns.list()).train_runs.map(({ id }) => id)).toEqual([made.id]);

    const evaluation = await service.client.evaluations.create({
      recipe: { name: 'of-toy', model: 'run:toy', device: 'cpu', data },
    });
    const told = await collect(service.client.evaluations.events(evaluation.id));
    expect(told.at(-1)).toMatchObject({ event: 'end', status: 'completed' });
    const done = await service.client.evaluations.get(evaluation.id);
    expect(done.result?.datasets[0]).toMatchObject({ dataset: 'made-up', records: 20, failed: 0, metrics: { n: 20 } });
    expect(JSON.stringify([done, told])).not.toContain(folder);
    expect((await service.client.evaluations.list()).evaluations).toHaveLength(2);
    const { status, message, result } = await service.client.evaluations.get(chained.id);
    expect([status, message, result?.datasets]).toEqual(['completed', null, done.result?.datasets]);
  }, 240_000);

  it('reports why a run failed, without folders of the machine', async () => {
    await writeFile(join(root, 'broken.jsonl'), '{"id": "x"}\n');
    const { id } = await service.client.trainRuns.create({
      recipe: { ...RECIPE, name: 'broken', data: { train: ['broken.jsonl'] } },
    });
    await collect(service.client.trainRuns.events(id));
    const run = await service.client.trainRuns.get(id);
    expect(run).toMatchObject({ status: 'failed', run: null });
    expect(run.message).toContain('broken.jsonl');
    expect(run.message).not.toContain(folder);
  });

  it.each([
    ['data out of the root', { data: { train: ['../x.jsonl'] } }, 403, 'PATH_FORBIDDEN'],
    ['data by a link out of the root', { data: { train: ['way-out/secret.png'] } }, 403, 'PATH_FORBIDDEN'],
    ['records that name media out of the root', { data: { train: ['escaping.jsonl'] } }, 403, 'PATH_FORBIDDEN'],
    ['the same with a CR between its words', { data: { train: ['spaced.jsonl'] } }, 403, 'PATH_FORBIDDEN'],
    ['data that is not there', { data: { train: ['nothing.jsonl'] } }, 404, 'MEDIA_NOT_FOUND'],
    ['a model out of the root', { model: '/etc' }, 403, 'PATH_FORBIDDEN'],
    ['a model of the hub', { model: 'owner/name' }, 404, 'MEDIA_NOT_FOUND'],
    ['a run that is not there', { model: 'run:nothing' }, 404, 'RUN_NOT_FOUND'],
    ['a prompt that is a file', { prompts: ['../../x.yaml'] }, 403, 'PATH_FORBIDDEN'],
    ['an unknown key', { batchsize: 3 }, 422, 'CONFIG_INVALID'],
    ['several hosts', { hosts: 2, processes: 2, rendezvous: 'h:1' }, 422, 'CONFIG_INVALID'],
  ] as const)('refuses %s', async (_what, change, status, code) => {
    const error = await failure(service.client.trainRuns.create({ recipe: { ...RECIPE, ...change } }));
    expect([error.status, error.code]).toEqual([status, code]);
    expect(error.message).not.toContain(folder);
  });
});

describe('/v1/evaluations', () => {
  it.each([
    ['records out of the root', { data: [{ name: 'x', records: '/etc/passwd' }] }, 403, 'PATH_FORBIDDEN'],
    ['media out of the root', { data: [{ name: 'x', records: 'escaping.jsonl' }] }, 403, 'PATH_FORBIDDEN'],
    ['the same behind a byte order mark', { data: [{ name: 'x', records: 'marked.jsonl' }] }, 403, 'PATH_FORBIDDEN'],
    ['the same in UTF-16', { data: [{ name: 'x', records: 'utf16.jsonl' }] }, 403, 'PATH_FORBIDDEN'],
    ['an unknown key', { modl: 'x' }, 422, 'CONFIG_INVALID'],
  ] as const)('refuses %s', async (_what, change, status, code) => {
    const error = await failure(
      service.client.evaluations.create({
        recipe: { name: 'e', model: 'tiny-untrained', data: [{ name: 'x', records: 'records.jsonl' }], ...change },
      }),
    );
    expect([error.status, error.code]).toEqual([status, code]);
  });

  it('is not resumed if its records now name media outside the root', async () => {
    const records = await readFile(join(root, 'records.jsonl'), 'utf8');
    await writeFile(join(root, 'changing.jsonl'), records);
    const recipe = {
      name: 'changing',
      model: 'tiny-untrained',
      device: 'cpu',
      data: [{ name: 'x', records: 'changing.jsonl' }],
    };
    const first = await service.client.evaluations.create({ recipe });
    const waits = await service.client.evaluations.create({ recipe: { ...recipe, name: 'waits' } });
    await writeFile(join(root, 'changing.jsonl'), records.replaceAll(/"media":"[^"]*"/g, '"media":"../secret.png"'));
    await service.client.evaluations.stop(first.id);
    // the run that starts only now, and the run that is resumed
    expect((await collect(service.client.evaluations.events(waits.id))).at(-1)).toMatchObject({
      event: 'end',
      status: 'failed',
      message: expect.stringMatching(/outside the (?:served )?root/) as string,
    });
    await collect(service.client.evaluations.events(first.id));
    expect(await failure(service.client.evaluations.resume(first.id))).toMatchObject({
      status: 403,
      code: 'PATH_FORBIDDEN',
    });
    expect((await service.client.evaluations.get(first.id)).status).toMatch(/stopped|failed/);
    // a link in the path of the records, changed after they were accepted
    await mkdir(join(root, 'here'));
    await writeFile(join(root, 'here/list.jsonl'), records.replaceAll('media/', '../media/'));
    const linked = await service.client.evaluations.create({
      recipe: { ...recipe, name: 'linked', data: [{ name: 'x', records: 'here/list.jsonl' }] },
    });
    await service.client.evaluations.stop(linked.id);
    await collect(service.client.evaluations.events(linked.id));
    await rename(join(root, 'here'), join(folder, 'elsewhere'));
    await symlink(join(folder, 'elsewhere'), join(root, 'here'));
    const error = await failure(service.client.evaluations.resume(linked.id));
    expect([error.status, error.code]).toEqual([403, 'PATH_FORBIDDEN']);
    expect(error.message).not.toContain(folder);
  }, 120_000);

  it('reports missing packages', async () => {
    await writeFile(
      join(root, 'absent.jsonl'),
      `${JSON.stringify({ id: 'a', media: 'gone.png', kind: 'image', task: 'quality', dataset: 'd', mos: 3, level: 'fair', question: '<|image|>?', answer: 'Fine.', split: 'test', source: { file: 'l.csv', row: 2 } })}\n`,
    );
    const error = await failure(
      service.client.evaluations.create({
        recipe: { name: 'e', model: 'tiny-untrained', data: [{ name: 'x', records: 'absent.jsonl' }] },
      }),
    );
    expect([error.status, error.code]).toEqual([404, 'EVALUATION_NOT_READY']);
    expect(error.message).not.toContain(folder);
  });
});

describe('/v1/datasets', () => {
  it('lists the described datasets', async () => {
    const { datasets } = await service.client.datasets.list();
    expect(datasets.find(({ name }) => name === 'koniq10k')).toMatchObject({ kind: 'image', task: 'quality' });
  });

  it('converts a table below the root, and refuses other paths', async () => {
    const answer = await service.client.datasets.convert({
      table: 'ratings.csv',
      media: 'media',
      own: { image_column: 'file', score_column: 'mos' },
      range: [0, 19],
      out: 'converted',
    });
    expect(answer).toMatchObject({
      n: 20,
      n_all: 20,
      outputs: [{ path: expect.stringMatching(/^converted\/\w+\.jsonl$/) as string, records: 20 }],
    });
    const checked = await service.client.evaluations.create({
      recipe: {
        name: 'converted',
        model: 'tiny-untrained',
        device: 'cpu',
        data: [{ name: 'own', records: answer.outputs[0]?.path }],
      },
    });
    await service.client.evaluations.stop(checked.id);
    for (const [body, code] of [
      [{ table: '../x.csv', out: 'o' }, 'PATH_FORBIDDEN'],
      [{ table: 'ratings.csv', out: '../o' }, 'PATH_FORBIDDEN'],
      [{ table: 'ratings.csv', out: 'way-out/o' }, 'PATH_FORBIDDEN'],
      [{ table: 'ratings.csv', out: 'o', own: { image_column: 'nope', score_column: 'mos' } }, 'DATASET_COLUMNS'],
      [{ dataset: 'koniq10k', out: 'o' }, 'BODY_INVALID'],
      [{ dataset: 'nothing', labels: 'media', out: 'o' }, 'CONFIG_NOT_FOUND'],
    ] as const) {
      const error = await failure(service.client.datasets.convert(body));
      expect(error.code, JSON.stringify(body)).toBe(code);
      expect(error.message).not.toContain(folder);
    }
  });
});

it('requires the scope train', async () => {
  const { createKeyStore } = await import('../../../src/server/http/key-store.js');
  const { openServiceDatabase } = await import('../../../src/server/service-database.js');
  const dataDir = await mkdtemp(join(tmpdir(), 'qalign-scope-'));
  const database = openServiceDatabase(dataDir);
  const keys = createKeyStore(database);
  const [scorer, trainer] = [keys.create('scorer', ['score']), keys.create('trainer', ['train'])];
  database.close();
  const guarded = await startService([`root=${root}`], { ...withoutPython, dataDir });
  try {
    const ask = async (key: string, method: string, path: string): Promise<number> =>
      (await fetch(guarded.url + path, { method, headers: { Authorization: `Bearer ${key}` } })).status;
    for (const [method, path] of [
      ['GET', '/v1/train_runs'],
      ['POST', '/v1/train_runs'],
      ['POST', '/v1/evaluations'],
      ['POST', '/v1/datasets/convert'],
    ] as const) {
      expect(await ask(scorer, method, path)).toBe(403);
      expect(await ask(trainer, method, path)).not.toBe(403);
    }
    expect(await ask(scorer, 'GET', '/v1/datasets')).toBe(200);
    expect(await ask(trainer, 'POST', '/v1/models/tiny-untrained/unload')).toBe(403);
    expect((await fetch(`${guarded.url}/docs`)).status).toBe(401);
  } finally {
    await guarded.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});

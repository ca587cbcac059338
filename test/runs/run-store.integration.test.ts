import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, open, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { openDatabase } from '../../src/base/files/sqlite.js';
import { openRunStore } from '../../src/runs/run-store.js';

let root: string;
const event = (values: object): string => `${JSON.stringify({ time: 1, ...values })}\n`;
const end = (step: number): string => event({ event: 'end', status: 'completed', step });
async function makeRun(id: string, text: string): Promise<void> {
  await mkdir(join(root, id));
  await writeFile(join(root, id, 'recipe.json'), JSON.stringify({ name: id }));
  await writeFile(join(root, id, 'events.jsonl'), text);
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'qalign-store-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('the index of runs', () => {
  it('reads changed runs, drops deleted ones, and is rebuilt from the directories when it is damaged or missing', async () => {
    await makeRun('a', end(1));
    await makeRun('b', event({ event: 'resumed', step: 1, checkpoint: 'step-1' }));
    const store = openRunStore(root);
    const rows = async (): Promise<string[]> => (await store.refresh()).map(({ id, status }) => `${id} ${status}`);
    expect(await rows()).toEqual(['a completed', 'b interrupted']);
    await appendFile(join(root, 'b/events.jsonl'), end(2));
    await rm(join(root, 'a'), { recursive: true });
    expect(await rows()).toEqual(['b completed']);
    await writeFile(join(root, 'index.db'), 'no database at all, but long enough to be taken for one'.repeat(100));
    expect(await rows()).toEqual(['b completed']);
    expect(await rows()).toEqual(['b completed']);
  });

  it('lists runs also if its file is damaged in the middle, locked by another process, or cannot be created', async () => {
    for (let k = 0; k < 300; k += 1) await makeRun(`many-${k}`, end(1)); // more than one page
    const store = openRunStore(root);
    const all = await store.refresh();
    const file = join(root, 'index.db');
    const { size } = await stat(file);
    const handle = await open(file, 'r+');
    await handle.write(Buffer.alloc(size - 8192, 'x'), 0, size - 8192, 4096);
    await handle.close();
    expect(await store.refresh()).toEqual(all);
    expect(await store.refresh()).toEqual(all);

    const other = openDatabase(file, '');
    other.exec('BEGIN EXCLUSIVE');
    const waiting = store.refresh(); // when this returns, the first access to the index has ended without the lock
    other.exec('ROLLBACK');
    other.close();
    expect(await waiting).toEqual(all);

    await rm(file);
    await mkdir(file);
    expect(await store.refresh()).toEqual(all);
    await rm(file, { recursive: true });
    await Promise.all(
      all.filter(({ id }) => id.startsWith('many-')).map(({ id }) => rm(join(root, id), { recursive: true })),
    );
  }, 60_000);

  it('waits for other processes that write it', async () => {
    const [ready, script] = [
      join(root, 'ready'),
      `
      import { writeFileSync } from 'node:fs';
      import { openDatabase } from ${JSON.stringify(new URL('../../src/base/files/sqlite.ts', import.meta.url).href)};
      const database = openDatabase(process.argv[1], '');
      database.exec('BEGIN IMMEDIATE');
      writeFileSync(process.argv[2], '');
      setTimeout(() => { database.exec('COMMIT'); database.close(); }, 500);`,
    ];
    await openRunStore(root).refresh();
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', script, join(root, 'index.db'), ready],
      { cwd: packageRoot, stdio: 'inherit' },
    );
    const ended = once(child, 'close');
    while (!existsSync(ready)) await new Promise((done) => setTimeout(done, 20));
    const database = openDatabase(join(root, 'index.db'), '');
    database.exec('DELETE FROM indexed_runs');
    database.close();
    expect((await ended)[0]).toBe(0);
  }, 60_000);

  it('lists the other runs beside a directory with a damaged recipe', async () => {
    await makeRun('broken', end(3));
    await writeFile(join(root, 'broken/recipe.json'), '{');
    expect((await openRunStore(root).refresh()).find(({ id }) => id === 'broken')).toMatchObject({
      name: 'broken',
      status: 'completed',
    });
  });

  it('does not read the events of a finished run twice', async () => {
    await makeRun('c', end(1));
    const time = new Date(1e12);
    await utimes(join(root, 'c/events.jsonl'), time, time);
    const store = openRunStore(root);
    await store.refresh();
    // same size and date: unseen
    await writeFile(join(root, 'c/events.jsonl'), end(1).replace('completed', 'stoppedxx'));
    await utimes(join(root, 'c/events.jsonl'), time, time);
    expect((await store.refresh()).find(({ id }) => id === 'c')?.status).toBe('completed');
    expect((await store.rebuild()).find(({ id }) => id === 'c')?.status).toBe('prepared');
  });
});

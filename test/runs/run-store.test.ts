import { appendFile, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
  it('reads what changed, forgets what is gone, and is made anew from the directories when it is damaged or lost', async () => {
    await makeRun('a', end(1));
    await makeRun('b', event({ event: 'resumed', step: 1, checkpoint: 'step-1' }));
    const store = openRunStore(root);
    const rows = async (): Promise<string[]> => (await store.refresh()).map(({ id, status }) => `${id} ${status}`);
    expect(await rows()).toEqual(['a completed', 'b interrupted']);
    await appendFile(join(root, 'b/events.jsonl'), end(2));
    await rm(join(root, 'a'), { recursive: true });
    expect(await rows()).toEqual(['b completed']);
    store.close();

    await writeFile(join(root, 'index.db'), 'no database at all, but long enough to be taken for one'.repeat(100));
    const again = openRunStore(root);
    expect((await again.refresh()).map(({ id }) => id)).toEqual(['b']);
    again.close();
  });

  it('does not read the events of a finished run twice', async () => {
    await makeRun('c', end(1));
    const time = new Date(1e12);
    await utimes(join(root, 'c/events.jsonl'), time, time);
    const store = openRunStore(root);
    await store.refresh();
    await writeFile(join(root, 'c/events.jsonl'), end(1).replace('completed', 'stoppedxx')); // same size and date: unseen
    await utimes(join(root, 'c/events.jsonl'), time, time);
    expect((await store.refresh()).find(({ id }) => id === 'c')?.status).toBe('completed');
    expect((await store.rebuild()).find(({ id }) => id === 'c')?.status).toBe('prepared');
    store.close();
  });
});

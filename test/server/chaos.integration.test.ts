import fs from 'node:fs';
import { mkdtemp, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isFailure } from '../../src/api/result.js';
import { ServiceError, type QalignClient } from '../../src/client/client.js';
import { EXAMPLE_PICTURE } from '../../src/media/probe-picture.js';
import { startProcess } from './serve-process.js';
import { startService, withoutPython } from './start-service.js';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'qalign-chaos-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

const named = (id: string): { id: string; base64: string } => ({ id, base64: EXAMPLE_PICTURE });
const list = (count: number): string =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify(named(`n${i}`))}\n`).join('');
async function outcomes(client: QalignClient, id: string): Promise<string[]> {
  const all: string[] = [];
  for await (const outcome of client.jobs.results(id))
    all.push(isFailure(outcome) ? `${outcome.input} ${outcome.error.code}` : outcome.input);
  return all;
}

describe('when workers are killed every second under load', () => {
  it('answers every request once or returns an error, and the job is complete', async () => {
    const service = await startService(['jobs.in_flight=16', 'request_ms=10000', 'rate_per_minute=0']);
    try {
      const { id } = await service.client.jobs.create(list(80));
      let killed = 0;
      const goesOn = (): boolean => killed < 3; // waits for machines that start workers slowly
      const killer = (async () => {
        while (goesOn()) {
          await sleep(1_000);
          const pid = [...service.services.models.loaded.values()][0]?.load().engine?.workers[0]?.pid;
          if (pid === undefined) continue; // it restarts
          process.kill(pid, 'SIGKILL');
          killed++;
        }
      })();
      const answers: string[] = [];
      await Promise.all(
        Array.from({ length: 6 }, async (_, client) => {
          for (let i = 0; goesOn(); i++) {
            const input = `c${client}-${i}`;
            const answer = await service.client.score([named(input)]).catch((error: unknown) => error as ServiceError);
            if (answer instanceof ServiceError) {
              answers.push(answer.code);
              await sleep(50);
            } else {
              expect(answer.items.map((item) => item.input)).toEqual([input]);
              answers.push('scored');
            }
          }
        }),
      );
      await killer;
      expect(killed).toBe(3);
      expect(
        answers.filter(
          (answer) =>
            !['scored', 'WORKER_LOST', 'NO_WORKER', 'OVERLOADED', 'DEADLINE_EXCEEDED', 'WORKER_START_FAILED'].includes(
              answer,
            ),
        ),
      ).toEqual([]);
      expect(answers).toContain('scored');
      const ended = await service.client.jobs.wait(id);
      expect(ended).toMatchObject({ status: 'completed', done: 80 });
      const names = (await outcomes(service.client, id)).map((line) => line.split(' ')[0]);
      expect(names).toEqual(Array.from({ length: 80 }, (_, i) => `n${i}`));
    } finally {
      await service.close();
    }
  }, 180_000);
});

describe('when the server itself is killed', () => {
  it('resumes its job and scores each item once; SIGTERM then ends it in time', async () => {
    const dataDir = join(folder, 'killed');
    const first = await startProcess(dataDir, ['jobs.in_flight=8']);
    const { id } = await first.client.jobs.create(list(400), {}, { idempotencyKey: 'chaos' });
    await expect
      .poll(async () => (await first.client.jobs.get(id)).done, { timeout: 60_000, interval: 20 })
      .toBeGreaterThan(10);
    first.child.kill('SIGKILL');
    expect(await first.exited).toBe('SIGKILL');

    const second = await startProcess(dataDir, ['jobs.in_flight=8', 'shutdown_ms=8000']);
    try {
      expect((await second.client.jobs.create(list(400), {}, { idempotencyKey: 'chaos' })).id).toBe(id);
      expect(await second.client.jobs.wait(id)).toMatchObject({ status: 'completed', done: 400, failed: 0 });
      expect(await outcomes(second.client, id)).toEqual(Array.from({ length: 400 }, (_, i) => `n${i}`));
      const more = await second.client.jobs.create(list(2_000));
      const asked = performance.now();
      second.child.kill('SIGTERM');
      expect(await second.exited).toBe(0);
      expect(performance.now() - asked).toBeLessThan(8_000 + 10_000); // the limit plus time for a slow machine
      expect(more.status).toMatch(/queued|running/);
    } finally {
      second.child.kill('SIGKILL');
    }
  }, 180_000);
});

describe('when the disk is full', () => {
  /** While enabled, every write through a file handle fails as on a full disk. */
  async function fillDisk(): Promise<() => void> {
    const probe = await open(join(folder, 'probe'), 'w');
    const prototype = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    const spy = vi
      .spyOn(prototype, 'write')
      .mockImplementation(() =>
        Promise.reject(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })),
      );
    return () => spy.mockRestore();
  }

  it('a job that cannot be stored is refused, leaves no files, and is accepted once there is room', async () => {
    const service = await startService([], withoutPython);
    try {
      const form = (): FormData => {
        const body = new FormData();
        body.append('file', new Blob([list(50)]), 'list.jsonl');
        return body;
      };
      const post = async (): Promise<[number, string | undefined]> => {
        const response = await fetch(`${service.url}/v1/jobs`, {
          method: 'POST',
          headers: { 'Idempotency-Key': 'full' },
          body: form(),
        });
        return [response.status, ((await response.json()) as { error?: { code: string } }).error?.code];
      };
      const enospc = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      const writev = vi
        .spyOn(fs, 'writev')
        .mockImplementation((...given: unknown[]) => (given.at(-1) as (error: Error) => void)(enospc));
      const write = vi
        .spyOn(fs, 'write')
        .mockImplementation((...given: unknown[]) => (given.at(-1) as (error: Error) => void)(enospc));
      expect(await post()).toEqual([507, 'OUTPUT_UNWRITABLE']); // while the list is written
      expect(write.mock.calls.length + writev.mock.calls.length).toBeGreaterThan(0);
      write.mockRestore();
      writev.mockRestore();
      const insert = vi.spyOn(service.services.jobStore, 'insert').mockImplementation(() => {
        throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
      });
      expect(await post()).toEqual([507, 'OUTPUT_UNWRITABLE']); // while the job is stored
      insert.mockRestore();
      expect(await readdir(join(service.dataDir, 'jobs'))).toEqual([]);
      expect((await service.client.jobs.list()).jobs).toEqual([]);
      expect((await post())[0]).toBe(202);
      const [job] = (await service.client.jobs.list()).jobs;
      expect(await service.client.jobs.wait(job?.id ?? '')).toMatchObject({ status: 'completed', done: 50, failed: 0 });
    } finally {
      vi.restoreAllMocks();
      await service.close();
    }
  });

  it('a job waits, reports it, and writes every result once there is room', async () => {
    const service = await startService(['jobs.in_flight=4'], withoutPython);
    try {
      const before = await service.client.jobs.create(list(20));
      await service.client.jobs.wait(before.id);
      // accepted while there is room; the full disk stops it before its first result
      const scorer = service.services.models.get();
      const score = scorer.score.bind(scorer);
      let letGo!: () => void;
      const gate = new Promise<void>((resolve) => (letGo = resolve));
      const held = vi.spyOn(scorer, 'score').mockImplementation(async (...given) => {
        await gate;
        return score(...given);
      });
      const { id } = await service.client.jobs.create(list(100));
      await expect.poll(() => held.mock.calls.length).toBeGreaterThan(0);
      const room = await fillDisk();
      held.mockRestore();
      letGo();
      await expect.poll(async () => (await service.client.jobs.get(id)).status, { timeout: 20_000 }).toBe('waiting');
      expect((await service.client.jobs.get(id)).message).toMatch(/disk|room|space|written/i);
      expect((await service.client.score([named('x')])).scored).toBe(1); // requests that need no disk still work
      room();
      expect(await service.client.jobs.wait(id)).toMatchObject({ status: 'completed', done: 100, failed: 0 });
      expect(await outcomes(service.client, id)).toEqual(Array.from({ length: 100 }, (_, i) => `n${i}`));
    } finally {
      vi.restoreAllMocks();
      await service.close();
    }
  }, 60_000);
});

describe('when a second service is started on the same data folder', () => {
  it('ends with one sentence, and the job of the first is complete', async () => {
    const dataDir = join(folder, 'shared');
    const first = await startProcess(dataDir);
    try {
      const { id } = await first.client.jobs.create(list(40));
      await expect(startProcess(dataDir)).rejects.toThrow(/is in use by a running service.*\[DATA_DIR_IN_USE\]/);
      await first.client.jobs.wait(id);
      expect(await outcomes(first.client, id)).toEqual(Array.from({ length: 40 }, (_, i) => `n${i}`));
      const open = (await readdir(dataDir, { recursive: true })).filter(
        (name) => (fs.statSync(join(dataDir, name)).mode & 0o077) !== 0,
      );
      expect(open).toEqual([]);
      // a lock is released when its process ends, also by SIGKILL
      first.child.kill('SIGKILL');
      await first.exited;
      const next = await startProcess(dataDir);
      next.child.kill('SIGTERM');
      expect(await next.exited).toBe(0);
    } finally {
      first.child.kill('SIGKILL');
    }
  });
});

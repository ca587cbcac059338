import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { QalignError } from '../../src/base/errors.js';
import { claimDataDir } from '../../src/server/data-dir.js';
import { openServiceDatabase } from '../../src/server/service-database.js';
import { startService, withoutPython } from './start-service.js';

let place: string;
beforeEach(() => (place = mkdtempSync(join(tmpdir(), 'qalign-data-'))));
afterEach(() => rmSync(place, { recursive: true, force: true }));

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const errorOf = (work: () => unknown): QalignError => {
  try {
    work();
  } catch (error) {
    return error as QalignError;
  }
  throw new Error('it did not throw');
};

describe('a data folder belongs to one service', () => {
  it('refuses a second one until the first has ended', async () => {
    const first = await startService([], { ...withoutPython, dataDir: place });
    const second = startService([], { ...withoutPython, dataDir: place });
    await expect(second).rejects.toMatchObject({ code: 'DATA_DIR_IN_USE' });
    await expect(second).rejects.toThrow(place);
    // a refused start does not change the data of the first service
    expect(existsSync(join(place, 'uploads'))).toBe(true);
    await first.close();
    const third = await startService([], { ...withoutPython, dataDir: place });
    await third.close();
  });

  it('is released when the start fails', async () => {
    const failing = startService(['host=0.0.0.0'], { ...withoutPython, dataDir: place });
    await expect(failing).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    claimDataDir(place)();
  });

  it('keeps the keys writable while the service runs', () => {
    const release = claimDataDir(place);
    openServiceDatabase(place).close();
    release();
  });
});

describe('a data folder is private', () => {
  it('with its database, even if an earlier version made them world-readable', () => {
    const folder = join(place, 'new', 'data');
    openServiceDatabase(folder).close();
    expect([modeOf(folder), modeOf(join(folder, 'service.db'))]).toEqual([0o700, 0o600]);
    chmodSync(folder, 0o755);
    chmodSync(join(folder, 'service.db'), 0o644);
    const database = openServiceDatabase(folder);
    database.exec("INSERT INTO keys (name, hash, scopes, created_at) VALUES ('a', 'b', 'score', 0)");
    expect([modeOf(folder), modeOf(join(folder, 'service.db'))]).toEqual([0o700, 0o600]);
    expect(modeOf(join(folder, 'service.db-wal'))).toBe(0o600);
    database.close();
  });

  it('and a folder with other files keeps its mode', async () => {
    writeFileSync(join(place, 'notes.txt'), '');
    chmodSync(place, 0o755);
    const service = await startService([], { ...withoutPython, dataDir: place });
    await service.close();
    expect(modeOf(place)).toBe(0o755);
    expect(service.logged.map(({ message }) => message)).toContain('other users can read the data folder');
  });
});

describe('a data folder that cannot be used', () => {
  it.each([
    ['is a file', () => writeFileSync(join(place, 'd'), 'text'), 'OUTPUT_UNWRITABLE', 'is a file'],
    ['lies below a file', () => writeFileSync(join(place, 'd'), ''), 'OUTPUT_UNWRITABLE', 'is a file', 'd/e/f'],
    ['has a damaged database', () => damaged('x'.repeat(9000)), 'CONFIG_INVALID', 'is damaged'],
    ['has a torn database', () => damaged(tornDatabase()), 'CONFIG_INVALID', 'is damaged'],
    [
      'has a folder as its database',
      () => mkdirSync(join(place, 'd', 'service.db'), { recursive: true }),
      'CONFIG_INVALID',
      'is not a regular file',
    ],
    [
      'has a file as its folder of jobs',
      () => (mkdirSync(join(place, 'd')), writeFileSync(join(place, 'd', 'jobs'), '')),
      'CONFIG_INVALID',
      'jobs is not a folder',
    ],
    [
      'has a link to nowhere as its folder of trainings',
      () => (mkdirSync(join(place, 'd')), symlinkSync(join(place, 'nowhere'), join(place, 'd', 'works'))),
      'CONFIG_INVALID',
      'works is not a folder',
    ],
    ['is on a file system that takes nothing', () => {}, 'OUTPUT_UNWRITABLE', 'cannot be used', '/sys/qalign/data'],
    ['is where mkdir answers ENOENT', () => {}, 'OUTPUT_UNWRITABLE', 'cannot be used', '/proc/qalign/data'],
    [
      'lies below a link to nowhere',
      () => symlinkSync(join(place, 'nowhere'), join(place, 'd')),
      'OUTPUT_UNWRITABLE',
      'The data folder',
      'd/e',
    ],
  ] as const)('%s: one sentence with the way out', (_name, prepare, code, sentence, where?: string) => {
    prepare();
    const folder = resolve(place, where ?? 'd');
    const error = errorOf(() => openServiceDatabase(folder));
    expect(error.code).toBe(code);
    expect(error.message).toContain(sentence);
    expect(error.message).toContain(folder);
  });

  const damaged = (content: string | Buffer): void => {
    mkdirSync(join(place, 'd'), { recursive: true });
    writeFileSync(join(place, 'd', 'service.db'), content);
  };
  const tornDatabase = (): Buffer => {
    const whole = join(place, 'whole');
    openServiceDatabase(whole).close();
    const bytes = readFileSync(join(whole, 'service.db'));
    return Buffer.concat([bytes.subarray(0, 100), Buffer.alloc(bytes.length - 100, 0xab)]);
  };
});

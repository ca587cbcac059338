import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holdFolder, openWithin, placeOf, readWithin, type Reach } from '../../../src/base/files/reach.js';

let place: string;
let within: Reach;
const at = (path: string): string => join(place, path);
beforeEach(() => {
  place = realpathSync(mkdtempSync(join(tmpdir(), 'qalign-reach-')));
  for (const folder of ['root/in', 'root/data', 'outside']) mkdirSync(at(folder), { recursive: true });
  for (const folder of ['root/in', 'root/data', 'outside']) writeFileSync(at(`${folder}/a.txt`), folder);
  within = { top: at('root'), own: [at('root/data')] };
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

const forbidden = { code: 'PATH_FORBIDDEN' };

describe('a file', () => {
  it('is read below the top, and through no link that leads elsewhere', async () => {
    symlinkSync(at('outside'), at('root/out'));
    symlinkSync(at('root/data/a.txt'), at('root/in/own.txt'));
    symlinkSync(at('root/in/a.txt'), at('root/fine.txt'));
    expect(String(await readWithin(at('root/fine.txt'), within))).toBe('root/in');
    for (const path of ['root/out/a.txt', 'root/in/own.txt', 'root/data/a.txt', 'outside/a.txt'])
      await expect(openWithin(at(path), within)).rejects.toMatchObject(forbidden);
    expect(String(await readWithin(at('root/out/a.txt'), undefined))).toBe('outside');
  });

  it('is found by its name where there is no /proc, and not if another has that name by then', async () => {
    const file = await open(at('root/in/a.txt'));
    try {
      const none = at('no-proc');
      expect(await placeOf(file.fd, at('root/in/a.txt'), none)).toEqual({ place: at('root/in/a.txt'), isShown: false });
      renameSync(at('root/in/a.txt'), at('root/in/b.txt'));
      writeFileSync(at('root/in/a.txt'), 'another');
      await expect(placeOf(file.fd, at('root/in/a.txt'), none)).rejects.toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    } finally {
      await file.close();
    }
  });
});

it.runIf(process.platform === 'linux')('a held folder stays the same whatever is put in its place', () => {
  const held = holdFolder(at('root/in'), within);
  try {
    renameSync(at('root/in'), at('root/moved'));
    symlinkSync(at('outside'), at('root/in'));
    expect(readFileSync(join(held.path, 'a.txt'), 'utf8')).toBe('root/in');
    expect(() => holdFolder(at('root/in'), within)).toThrow(expect.objectContaining(forbidden));
  } finally {
    held.close();
  }
});

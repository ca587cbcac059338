import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { expandSources, type ExpandOptions, type MediaSource } from '../../../src/media/sources.js';

const fixtures = join(packageRoot, 'test/fixtures');
const picture = readFileSync(join(fixtures, 'pictures/pristine.jpg'));
const folder = mkdtempSync(join(tmpdir(), 'search-'));
const socket = createServer();
afterAll(async () => {
  await new Promise((done) => socket.close(done));
  rmSync(folder, { recursive: true });
});

const put = (name: string, bytes: string | Uint8Array): void => {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), bytes);
};

async function search(options: ExpandOptions = {}, ...inputs: string[]) {
  const found: MediaSource[] = [];
  const passed: Record<string, string> = {};
  const empty: string[] = [];
  const short = (name: string): string => name.replace(`${folder}/`, '');
  for await (const source of expandSources(inputs.length > 0 ? inputs : [folder], {
    ...options,
    onPassedOver: ({ input, reason }) => void (passed[short(input)] = reason),
    onEmptyFolder: (input) => void empty.push(short(input)),
  }))
    found.push(source);
  return { found, names: found.map(({ input }) => short(input)), passed, empty };
}

beforeAll(async () => {
  put('one', picture);
  put('two.txt', picture);
  put('clip', readFileSync(join(fixtures, 'pictures/pan.mp4')));
  put('notes.txt', 'not media');
  put('cars', 'BMW and others');
  put('song', 'the free birds');
  put('paper.pdf', '%PDF-1.7\n');
  put('code.ts', 'export const a = 1;\n');
  put('mail.jpg', '<!DOCTYPE html><title>404</title>');
  put('zero.png', '');
  put('pointer.jpg', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n');
  put('cut.ts', Buffer.from([0x47, 0, 0, 1]));
  put('phone', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic'));
  put('sound.m4a', Buffer.from('\0\0\0\x18ftypM4A \0\0\0\0M4A mp42'));
  put('.thumbnails/t.jpg', picture);
  put('__MACOSX/dot.jpg', Buffer.concat([Buffer.from([0, 5, 0x16, 7, 0, 2, 0, 0]), Buffer.alloc(74)]));
  copyFileSync(join(fixtures, 'cases/._appledouble.jpg'), join(folder, '._appledouble.jpg'));
  symlinkSync('gone.jpg', join(folder, 'dangling.jpg'));
  symlinkSync('gone', join(folder, 'dangling'));
  symlinkSync('loop', join(folder, 'loop'));
  symlinkSync('.', join(folder, 'round'));
  await new Promise<void>((done) => void socket.listen(join(folder, 'socket'), done));
});

describe('a folder', () => {
  it('returns media by content, and failures; reports the rest', async () => {
    const { names, passed, found } = await search();
    expect(names).toEqual([
      'clip',
      'cut.ts',
      'dangling.jpg',
      'loop',
      'mail.jpg',
      'one',
      'phone',
      'pointer.jpg',
      'two.txt',
      'zero.png',
    ]);
    expect(passed).toEqual({
      '._appledouble.jpg': 'hidden',
      '.thumbnails': 'hidden',
      '__MACOSX/dot.jpg': 'not-media',
      cars: 'not-media',
      'code.ts': 'not-media',
      dangling: 'not-media',
      'notes.txt': 'not-media',
      'paper.pdf': 'not-media',
      round: 'linked-folder',
      socket: 'special-file',
      song: 'not-media',
      'sound.m4a': 'not-media',
    });
    const errors = Object.fromEntries(found.map(({ input, error }) => [input.slice(folder.length + 1), error?.code]));
    expect(errors).toMatchObject({ 'dangling.jpg': 'MEDIA_NOT_FOUND', loop: 'MEDIA_UNREADABLE', one: undefined });
    expect(found.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['video', 'image']));
  });

  it('includes hidden names on request, but no attribute files of macOS', async () => {
    const { names, passed } = await search({ hidden: true });
    expect(names).toContain('.thumbnails/t.jpg');
    expect(passed['._appledouble.jpg']).toBe('not-media');
  });

  it('includes hidden names that are given', async () => {
    expect((await search({}, join(folder, '.thumbnails'))).names).toEqual(['.thumbnails/t.jpg']);
    expect((await search({}, join(folder, '.thumbnails/t.jpg'))).names).toHaveLength(1);
    expect((await search({}, join(folder, '.thumb*/*.jpg'))).names).toHaveLength(1);
  });

  it('is filtered by patterns of base names and of paths', async () => {
    expect((await search({ include: ['*.txt', '__MACOSX/**'] })).names).toEqual(['two.txt']);
    const { names, passed } = await search({ include: ['*'], exclude: ['*.{jpg,png,ts}', '__MACOSX'] });
    expect(names).toEqual(['clip', 'loop', 'one', 'phone', 'two.txt']);
    expect(passed).toMatchObject({ __MACOSX: 'excluded', 'mail.jpg': 'excluded', 'notes.txt': 'not-media' });
    expect((await search({ exclude: ['*'] }, folder, join(folder, 'one'))).names).toEqual(['one']);
  });

  it('is reported if nothing in it can be scored', async () => {
    mkdirSync(join(folder, 'nothing'));
    const { found, empty } = await search({}, join(folder, 'nothing'), join(folder, '__MACOSX'));
    expect([found, empty]).toEqual([[], ['nothing', '__MACOSX']]);
  });

  it('returns what identifies a changed file, with its hash on request', async () => {
    const { found } = await search({ hash: true, include: ['one', 'notes.txt'] });
    const sha256 = createHash('sha256').update(picture).digest('hex');
    expect(found[0]?.identity).toEqual({
      bytes: picture.length,
      modified: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/) as string,
      sha256,
    });
    expect((await search({ include: ['one'] })).found[0]?.identity?.sha256).toBeUndefined();
  });

  it('stops when cancelled in the middle', async () => {
    const stop = new AbortController();
    const reading = expandSources([folder], { signal: stop.signal });
    await reading.next();
    stop.abort(new Error('enough'));
    await expect(reading.next()).rejects.toThrow('enough');
  });
});

describe('a glob', () => {
  it('excludes and reports hidden names, and follows links once', async () => {
    const { names, passed } = await search({}, join(folder, '**/*.jpg'));
    expect(names).toEqual(['__MACOSX/dot.jpg', 'dangling.jpg', 'mail.jpg', 'pointer.jpg']);
    expect(passed).toMatchObject({ '._appledouble.jpg': 'hidden', '.thumbnails': 'hidden' });
    expect((await search({}, join(folder, 'round/{mail,two}.*'))).names).toEqual(['round/mail.jpg', 'round/two.txt']);
  });

  it('returns all matches, except folders and special files', async () => {
    const { names, passed } = await search({}, join(folder, '[no]o{tes,w}*'), join(folder, 'so[cu]*'));
    expect(names).toEqual(['notes.txt', 'sound.m4a']);
    expect(passed).toEqual({ socket: 'special-file' });
  });

  it('searches only the depth of the pattern, and allows folders in braces', async () => {
    put('deep/a/b/x.jpg', picture);
    expect((await search({}, join(folder, 'deep/*/x.jpg'))).found[0]?.error?.code).toBe('MEDIA_NOT_FOUND');
    expect((await search({}, join(folder, 'deep/{a/b,c}/*.jpg'))).names).toEqual(['deep/a/b/x.jpg']);
    expect((await search({}, join(folder, 'd*/*/*/!(y).jpg'))).names).toEqual(['deep/a/b/x.jpg']);
    expect((await search({}, join(folder, '!gone'))).found[0]?.error?.code).toBe('MEDIA_NOT_FOUND');
  });

  it('is filtered like a folder', async () => {
    const { names, passed, empty } = await search({ exclude: ['mail*'] }, join(folder, 'm*'), join(folder, 'p*.jpg'));
    expect([names, passed, empty]).toEqual([['pointer.jpg'], { 'mail.jpg': 'excluded' }, ['m*']]);
  });
});

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { expandSources, openSource, type MediaSource } from '../../src/media/sources.js';
import { packageRoot } from '../../src/base/package-root.js';

const pictures = join(packageRoot, 'test/fixtures/pictures');
const folder = mkdtempSync(join(tmpdir(), 'sources-'));
afterAll(() => rmSync(folder, { recursive: true }));

mkdirSync(join(folder, 'b/inner'), { recursive: true });
mkdirSync(join(folder, 'empty'));
copyFileSync(join(pictures, 'pristine.jpg'), join(folder, 'b/inner/z.JPG'));
copyFileSync(join(pictures, 'pristine.jpg'), join(folder, 'a.jpg'));
copyFileSync(join(pictures, 'pan.mp4'), join(folder, 'b/clip.jpg')); // a clip under a picture's name
copyFileSync(join(pictures, 'pristine.jpg'), join(folder, 'no extension'));
copyFileSync(join(pictures, 'pristine.jpg'), join(folder, 'odd[1].jpg'));
writeFileSync(join(folder, 'notes.txt'), 'not media');
symlinkSync(folder, join(folder, 'b/round.jpg')); // a circle, named like a picture
symlinkSync(join(folder, 'a.jpg'), join(folder, 'b/link.jpg'));

async function expand(...inputs: string[]): Promise<MediaSource[]> {
  const found: MediaSource[] = [];
  for await (const source of expandSources(inputs)) found.push(source);
  return found;
}
const names = (sources: readonly MediaSource[]): string[] =>
  sources.map(({ input }) => input.replace(`${folder}/`, ''));

describe('expandSources', () => {
  it('walks folders in name order, by content, with links to files but without circular links', async () => {
    expect(names(await expand(folder))).toEqual([
      'a.jpg',
      'b/clip.jpg',
      'b/inner/z.JPG',
      'b/link.jpg',
      'no extension',
      'odd[1].jpg',
    ]);
  });

  it('includes other formats of telephones and cameras, such as HEIC, which then fail by name', async () => {
    const phone = mkdtempSync(join(tmpdir(), 'phone-'));
    const files = ['1.HEIC', '2.jfif', '3.3gp', '4.MTS', '5.wmv', '6.heif', '7.jpe', '8.m2ts'];
    for (const name of files) writeFileSync(join(phone, name), Buffer.from([1, 2, 3]));
    try {
      expect((await expand(phone)).map(({ input }) => input.slice(phone.length + 1))).toEqual(files);
    } finally {
      rmSync(phone, { recursive: true });
    }
  });

  it('accepts a given file with any name, and finds its kind from its bytes', async () => {
    expect(await expand(join(folder, 'no extension'), join(folder, 'b/clip.jpg'))).toMatchObject([
      { kind: 'image' },
      { kind: 'video' },
    ]);
  });

  it('expands patterns that the shell did not, but prefers a file with that exact name', async () => {
    expect(names(await expand(join(folder, '**/*.{jpg,JPG}')))).toEqual([
      'a.jpg',
      'b/clip.jpg',
      'b/inner/z.JPG',
      'b/link.jpg',
      'odd[1].jpg',
    ]);
    expect((await expand('test/fixtures/pictures/p*.jpg')).map(({ input }) => input)).toEqual([
      'test/fixtures/pictures/pristine.jpg',
    ]);
    expect(names(await expand(join(folder, 'odd[1].jpg')))).toEqual(['odd[1].jpg']);
  });

  it('returns a failed source for a file that cannot be opened, and continues', async () => {
    const [missing, nothing, good] = await expand(
      join(folder, 'gone.jpg'),
      join(folder, '*.xyz'),
      join(folder, 'a.jpg'),
    );
    expect(missing?.error?.code).toBe('MEDIA_NOT_FOUND');
    expect(nothing?.error?.code).toBe('MEDIA_NOT_FOUND');
    expect(good?.error).toBeUndefined();
  });

  it('is empty for a folder without media', async () => {
    expect(await expand(join(folder, 'empty'))).toEqual([]);
  });

  it('refuses URLs unless they are allowed', async () => {
    expect((await expand('https://example.org/a.jpg'))[0]?.error?.code).toBe('MEDIA_URL_FORBIDDEN');
  });

  it('stops when cancelled', async () => {
    const reading = expandSources([folder], { signal: AbortSignal.abort(new Error('enough')) });
    await expect(reading.next()).rejects.toThrow('enough');
  });
});

describe('openSource', () => {
  it('takes a name literally and reports its error', async () => {
    expect(await openSource(join(folder, 'odd[1].jpg'))).toMatchObject({ kind: 'image' });
    expect(await openSource(join(folder, 'b/clip.jpg'))).toMatchObject({ kind: 'video' });
    expect((await openSource(folder)).error?.code).toBe('MEDIA_UNREADABLE');
    expect((await openSource(join(folder, '*.jpg'))).error?.code).toBe('MEDIA_NOT_FOUND');
    expect((await openSource('https://example.org/a.jpg')).error?.code).toBe('MEDIA_URL_FORBIDDEN');
  });
});

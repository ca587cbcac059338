import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { readInput } from '../../../src/media/image-file.js';
import { fingerprint } from '../../../src/media/fingerprint.js';
import { kindOfRecord } from '../../../src/media/media-kind.js';
import { resolveInRoot } from '../../../src/server/http/path-root.js';
import { argumentNames } from '../../../src/media/find/argument-names.js';
import { existingName } from '../../../src/media/find/same-name.js';
import {
  expandSources,
  openSource,
  type ExpandOptions,
  type MediaSource,
  type SourceName,
} from '../../../src/media/sources.js';

const picture = readFileSync(join(packageRoot, 'test/fixtures/pictures/pristine.jpg'));
const folder = mkdtempSync(join(tmpdir(), 'names-'));
afterAll(() => rmSync(folder, { recursive: true }));

const expand = async (inputs: SourceName[], options: ExpandOptions = {}): Promise<MediaSource[]> => {
  const found: MediaSource[] = [];
  for await (const source of expandSources(inputs, options)) found.push(source);
  return found;
};

describe('names that are not UTF-8', () => {
  const place = join(folder, 'bytes');
  const inPlace = (name: string): Buffer => Buffer.from(`${place}/${name}`, 'latin1');
  mkdirSync(place);
  const latin = inPlace('caf\xe9.jpg');
  const inner = inPlace('d\xe9p\xf4t/x.jpg');
  mkdirSync(inPlace('d\xe9p\xf4t'));
  writeFileSync(latin, picture);
  writeFileSync(inner, picture);
  const wanted = [
    { input: `${place}/caf\ufffd.jpg`, kind: 'image', media: { path: latin }, identity: { bytes: picture.length } },
    { input: `${place}/d\ufffdp\ufffdt/x.jpg`, media: { path: inner } },
  ];

  it('are found by folders, globs and lists, and can be read', async () => {
    const found = await expand([place]);
    expect(found).toMatchObject(wanted);
    expect(Buffer.from(await readInput(found[1]!.media, { maxBytes: 1e6 })).equals(picture)).toBe(true);
    expect(await expand([join(place, '**/*.jpg')])).toMatchObject(wanted);
    expect(await expand([join(place, 'caf?.jpg')])).toMatchObject(wanted.slice(0, 1));
    const list = Buffer.concat([latin, Buffer.from('\n'), inner]);
    expect(await expand(['-'], { stdin: Readable.from([list]) })).toMatchObject(wanted);
    expect(await openSource({ path: latin })).toMatchObject(wanted[0]!);
  });

  it('fail under their own name', async () => {
    const [gone] = await expand([{ path: inPlace('g\xf6ne.jpg') }]);
    expect(gone).toMatchObject({ input: `${place}/g\ufffdne.jpg`, error: { code: 'MEDIA_NOT_FOUND' } });
  });

  it('are compared by their bytes', async () => {
    const name = { path: inPlace('d\xe9p\xf4t/../caf\xe9.jpg') };
    const passed: string[] = [];
    const once: ExpandOptions = { once: true, onPassedOver: ({ reason }) => void passed.push(reason) };
    expect(await expand([{ path: latin }, name, { path: inPlace('caf\xea.jpg') }], once)).toHaveLength(2);
    expect(passed).toEqual(['repeated']);
  });

  it('are read from the arguments of the system', () => {
    const line = (): Buffer => Buffer.from('node\0main\0score\0caf\xe9.jpg\0caf\xea.jpg\0--out\0x\0b.jpg\0', 'latin1');
    expect(argumentNames(['caf\ufffd.jpg', 'caf\ufffd.jpg', 'b.jpg'], line)).toEqual([
      { path: Buffer.from('caf\xe9.jpg', 'latin1') },
      { path: Buffer.from('caf\xea.jpg', 'latin1') },
      'b.jpg',
    ]);
    expect(argumentNames(['other\ufffd.jpg'], line)).toEqual(['other\ufffd.jpg']);
    expect(argumentNames(['a.jpg'])).toEqual(['a.jpg']);
  });
});

describe('Unicode forms', () => {
  const place = join(folder, 'forms');
  const composed = 'Se\u00f1or \u00e9t\u00e9'; // Señor été
  const apart = composed.normalize('NFD');
  mkdirSync(join(place, apart), { recursive: true });
  writeFileSync(join(place, apart, `${composed}.jpg`), picture);
  writeFileSync(join(place, 'both\u00e9.jpg'), picture);
  writeFileSync(join(place, 'bothe\u0301.jpg'), '');

  it('match each other on the command line, in lists and in globs', async () => {
    const file = join(place, apart, `${composed}.jpg`);
    for (const typed of [join(place, composed, `${apart}.jpg`), join(place, composed, `${composed}.jpg`)]) {
      expect(await existingName(typed)).toBe(file);
      expect(await expand([typed])).toMatchObject([{ input: typed, media: file, kind: 'image' }]);
      expect(await openSource(typed)).toMatchObject({ media: file });
      const stdin = Readable.from([Buffer.from(`${typed}\n`)]);
      expect(await expand(['-'], { stdin })).toMatchObject([{ media: file }]);
    }
    expect(await expand([join(place, '*/Se\u00f1or*')])).toMatchObject([{ media: file }]);
    expect(await expand([place], { include: ['*\u00e9t\u00e9.jpg'.normalize('NFD')] })).toMatchObject([
      { media: file },
    ]);
    expect(await expand([join(place, composed)])).toMatchObject([{ media: file }]);
  });

  it('match each other in records and in paths of requests', async () => {
    const media = join(place, composed, `${apart}.jpg`);
    expect(await kindOfRecord({ media })).toBe('image');
    expect(await readInput(media, { maxBytes: 1e6 })).toHaveLength(picture.length);
    expect((await fingerprint(media)).width).toBeGreaterThan(0);
    expect(await resolveInRoot({ root: place, own: [] }, `${composed}/${apart}.jpg`)).toBe(
      join(place, apart, `${composed}.jpg`),
    );
    await expect(resolveInRoot({ root: join(place, apart), own: [] }, `../${composed}/${apart}.jpg`)).rejects.toThrow(
      /outside the served root/,
    );
  });

  it('prefer the exact name, and match nothing if two names are possible', async () => {
    expect(await existingName(join(place, 'both\u00e9.jpg'))).toBe(join(place, 'both\u00e9.jpg'));
    expect(await existingName(join(place, 'bothe\u0301.jpg'))).toBe(join(place, 'bothe\u0301.jpg'));
    writeFileSync(join(place, 'q\u0323\u0307.jpg'), ''); // a letter with two marks has a third form
    writeFileSync(join(place, 'q\u0307\u0323.jpg'), '');
    rmSync(join(place, 'q\u0323\u0307.jpg'));
    expect(await existingName(join(place, 'q\u0323\u0307.jpg'))).toBe(join(place, 'q\u0307\u0323.jpg'));
    expect(await existingName(join(place, 'gon\u00e9.jpg'))).toBe(join(place, 'gon\u00e9.jpg'));
  });
});

describe('the same input', () => {
  const place = join(folder, 'same');
  mkdirSync(join(place, 'inner'), { recursive: true });
  for (const name of ['a.jpg', 'b.jpg', 'inner/c.jpg']) writeFileSync(join(place, name), picture);

  it('is returned once on request, under any name', async () => {
    const passed: string[] = [];
    const options: ExpandOptions = {
      once: true,
      onPassedOver: ({ input, reason }) => passed.push(`${reason} ${input}`),
    };
    const inputs = [
      join(place, 'a.jpg'),
      `${place}/inner/../a.jpg`,
      `${place}/./a.jpg`,
      place,
      join(place, '*.jpg'),
      join(place, 'gone'),
      join(place, 'gone'),
      'https://example.org/x.jpg',
      'https://example.org/x.jpg',
    ];
    const found = await expand(inputs, options);
    expect(found.map(({ input }) => input.replace(`${place}/`, ''))).toEqual([
      'a.jpg',
      'b.jpg',
      'inner/c.jpg',
      'gone',
      'https://example.org/x.jpg',
    ]);
    expect(passed).toHaveLength(7);
    expect(passed[0]).toBe(`repeated ${place}/inner/../a.jpg`);
    expect(await expand(inputs)).toHaveLength(12);
  });

  it('is also found in lists', async () => {
    const stdin = Readable.from([Buffer.from(`${place}/a.jpg\n${place}\n`)]);
    expect(await expand(['-', join(place, 'b.jpg'), '-'], { stdin, once: true })).toHaveLength(3);
  });
});

describe('a list', () => {
  it('without names is reported, and unknown bytes are one error', async () => {
    const empty: string[] = [];
    const onEmptyFolder = (input: string): void => void empty.push(input);
    expect(await expand(['-'], { stdin: Readable.from([Buffer.from('\n \n')]), onEmptyFolder })).toEqual([]);
    expect(await expand(['-'], { stdin: Readable.from([]), onEmptyFolder })).toEqual([]);
    expect(empty).toEqual(['<stdin>', '<stdin>']);
    const noise = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 256));
    expect(await expand(['-'], { stdin: Readable.from([noise]) })).toMatchObject([
      { input: '<stdin>', error: { code: 'MEDIA_UNSUPPORTED' } },
    ]);
  });

  it('is distinguished from a picture, whose size is limited', async () => {
    const stdin = (): Readable => Readable.from([picture.subarray(0, 3), picture.subarray(3)]);
    expect(await expand(['-'], { stdin: stdin(), hash: true })).toMatchObject([
      { input: '<stdin>', kind: 'image', identity: { bytes: picture.length, sha256: expect.any(String) as string } },
    ]);
    expect(await expand(['-'], { stdin: stdin(), limits: { maxBytes: 1000 } })).toMatchObject([
      { input: '<stdin>', error: { code: 'MEDIA_TOO_LARGE' } },
    ]);
    async function* silent(): AsyncGenerator<Buffer> {
      yield picture.subarray(0, 5000);
      await new Promise(() => {});
    }
    expect(await expand(['-'], { stdin: silent(), limits: { timeoutMs: 50 } })).toMatchObject([
      { error: { code: 'MEDIA_TIMEOUT' } },
    ]);
  });
});

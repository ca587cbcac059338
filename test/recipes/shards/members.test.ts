import { describe, expect, it } from 'vitest';
import type { Sample } from '../../../src/recipes/shards/read/sample.js';
import { readWebDataset } from '../../../src/recipes/shards/read/web-dataset.js';
import { chunksOf, collect, picture, tarHeader, tarOf } from './make-shards.js';

const samplesOf = (tar: Uint8Array, most = 1 << 20): Promise<Sample[]> =>
  collect(readWebDataset(chunksOf(tar, 1 << 16), 'x.tar', { allowUrls: false, most }));
const shown = ({ key, source }: Sample): unknown[] => [key, source.error?.code, source.error?.message];

describe('a link in a tar', () => {
  it('of a picture is an error with the flag of tar that helps, and other links are ignored', async () => {
    const tar = Buffer.concat([
      ...[tarHeader('a.jpg', 0, '1'), tarHeader('b.jpg', 0, '2'), tarHeader('folder', 0, '2')],
      tarOf([{ name: 'c.ppm', bytes: picture(3) }]),
    ]);
    expect((await samplesOf(tar)).map(shown)).toEqual([
      ['a', 'MEDIA_UNREADABLE', expect.stringMatching(/^a.jpg of x.tar .* hard link; .*--hard-dereference/)],
      ['b', 'MEDIA_UNREADABLE', expect.stringMatching(/^b.jpg of x.tar .* symbolic link; .*--dereference/)],
      ['c', undefined, undefined],
    ]);
  });

  it('of JSON hides the key of its sample', async () => {
    const tar = Buffer.concat([tarHeader('a.json', 0, '1'), tarOf([{ name: 'a.ppm', bytes: picture(3) }])]);
    expect((await samplesOf(tar)).map(shown)).toEqual([
      [undefined, 'SHARD_KEY_MISSING', expect.stringMatching(/has its key in a.json, .* --hard-dereference/)],
    ]);
  });
});

describe('a sample', () => {
  const named = (count: number, bytes: Uint8Array): Buffer =>
    tarOf(Array.from({ length: count }, (_, at) => ({ name: `clip.${at}.ppm`, bytes })));

  it('can have many pictures, but not those of a whole archive', async () => {
    expect(await samplesOf(named(256, picture(1)))).toHaveLength(256);
    const error = {
      code: 'SHARD_DAMAGED',
      message: expect.stringMatching(/256 .* sample clip, .*first dot/) as string,
    };
    await expect(samplesOf(named(257, picture(1)))).rejects.toMatchObject(error);
  });

  it('is bounded by the bytes of its pictures', async () => {
    const part = Buffer.alloc(1 << 25);
    part.set(picture(1));
    async function* parts(count: number): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < count; at++) {
        yield tarHeader(`clip.${at}.ppm`, part.length);
        yield part;
      }
      yield Buffer.alloc(1024);
    }
    const read = (count: number): Promise<Sample[]> =>
      collect(readWebDataset(parts(count), 'x.tar', { allowUrls: false, most: part.length }));
    expect(await read(3)).toHaveLength(3);
    await expect(read(4)).rejects.toMatchObject({ code: 'SHARD_DAMAGED' });
  });
});

/** Small shards for tests, written without a library. */

export interface Member {
  readonly name: string;
  readonly bytes: Uint8Array | string;
}

/** A tar archive with its two last blocks. */
export function tarOf(members: readonly Member[]): Buffer {
  const blocks = members.flatMap(({ name, bytes }) => {
    const content = Buffer.from(bytes as string);
    return [tarHeader(name, content.length), content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** @param type the type of a member, such as `L` for a long name */
export function tarHeader(name: string, size: number, type = '0'): Buffer {
  const block = Buffer.alloc(512);
  block.write(name.slice(0, 100));
  block.write('0000644\0', 100);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** A picture of one colour as a binary PPM. */
export function picture(value: number, size = 8): Buffer {
  const pixels = Buffer.alloc(size * size * 3, value);
  for (let at = 0; at < pixels.length; at += 7) pixels[at] = (value * 3 + at) % 256;
  return Buffer.concat([Buffer.from(`P6\n${size} ${size}\n255\n`), pixels]);
}

/** A WebDataset shard of `count` pictures with keys `PREFIX-000…`, each with JSON and a caption. */
export const shardOf = (prefix: string, count: number, size?: number): Buffer =>
  tarOf(
    Array.from({ length: count }, (_, at) => {
      const key = `${prefix}-${String(at).padStart(3, '0')}`;
      return [
        { name: `${key}.ppm`, bytes: picture((at * 13 + prefix.length) % 256, size) },
        { name: `${key}.json`, bytes: JSON.stringify({ key, caption: 'a picture' }) },
        { name: `${key}.txt`, bytes: 'a picture' },
      ];
    }).flat(),
  );

export async function* chunksOf(bytes: Uint8Array, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}

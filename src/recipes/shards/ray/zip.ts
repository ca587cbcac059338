import { deflateRawSync } from 'node:zlib';
import { crc32 } from '../../../media/decode/png-header.js';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20; // of the format: deflate
const UTF8 = 0x0800; // flag: names are UTF-8
const DEFLATE = 8;
const FIRST_DAY = 0x21; // 1980-01-01, so that equal files give equal bytes

/**
 * Writes a ZIP archive of small files: names with `/`, fixed times, no folders. The same files give the same bytes.
 * @throws RangeError for more than 65 535 files or 4 GiB
 */
export function zip(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of Object.entries(files)) {
    const path = Buffer.from(name);
    const packed = deflateRawSync(bytes);
    const shared = Buffer.alloc(26);
    for (const [at, value] of [VERSION, UTF8, DEFLATE, 0, FIRST_DAY].entries()) shared.writeUInt16LE(value, 2 * at);
    for (const [at, value] of [crc32(bytes, 0, bytes.length), packed.length, bytes.length].entries())
      shared.writeUInt32LE(value, 10 + 4 * at);
    shared.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([number32(LOCAL), shared, path, packed]);
    const more = Buffer.alloc(14); // comment, disk and attributes are zero
    more.writeUInt32LE(offset, 10);
    locals.push(local);
    directory.push(number32(CENTRAL), Buffer.from([VERSION, 0]), shared, more, path);
    offset += local.length;
  }
  const index = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(locals.length, 4);
  end.writeUInt16LE(locals.length, 6);
  end.writeUInt32LE(index.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, index, number32(END), end]);
}

function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

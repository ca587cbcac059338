import { QalignError } from '../../../base/errors.js';
import { ByteSource } from './byte-source.js';

/** A file of a tar archive. Folders, links and devices are skipped. */
export interface TarMember {
  /** Its path in the archive. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Its bytes; undefined if it is larger than the limit. */
  readonly bytes: Buffer | undefined;
}

/** The fields of a header that matter. */
interface Header {
  readonly name: string;
  readonly size: number;
  readonly type: string;
}

const BLOCK = 512;
/** Largest extended header, which only has names. */
const MOST_NAME_BYTES = 1 << 20;
const FILES = new Set(['', '0', '7']);
const SKIPPED = new Set(['1', '2', '3', '4', '5', '6', 'V', 'M', 'N']);

/**
 * Reads the files of a tar archive in order: ustar, with the long names of GNU and of POSIX (pax). The archive must end
 * with an empty block, so that a copy that was cut is noticed, and only zeros can follow.
 *
 * @param most largest member in bytes that is read
 * @throws QalignError SHARD_DAMAGED with the offset in bytes
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
  shard: string,
  most: number,
): AsyncGenerator<TarMember, void, undefined> {
  const source = new ByteSource(chunks);
  const damaged = (what: string, at: number): QalignError =>
    new QalignError('SHARD_DAMAGED', `${shard} is damaged: ${what} at byte ${at}; write or download it again.`);
  let next: { name?: string; size?: number } = {};
  try {
    for (;;) {
      const at = source.position;
      const block = await source.read(BLOCK);
      if (block.length < BLOCK)
        throw damaged(block.length === 0 ? 'the archive ends without its last block' : 'a header is cut', at);
      if (block.every((byte) => byte === 0)) {
        const stray = await source.firstNonZero();
        if (stray === undefined) return;
        throw damaged(`the archive ends at byte ${at}, but other bytes follow`, stray);
      }
      const found = readHeader(block);
      if (typeof found === 'string') throw damaged(found, at);
      const header = { ...found, ...next };
      const padding = (BLOCK - (header.size % BLOCK)) % BLOCK;
      const content = async (limit: number): Promise<Buffer | undefined> => {
        const bytes = header.size > limit ? undefined : await source.read(header.size);
        const whole = bytes === undefined ? await source.skip(header.size) : bytes.length === header.size;
        if (!whole || !(await source.skip(padding))) throw damaged(`the member ${header.name} is cut`, source.position);
        return bytes;
      };
      if (['L', 'K', 'x', 'g'].includes(header.type)) {
        const text = await content(MOST_NAME_BYTES);
        if (text === undefined) throw damaged('a header of names is too long', at);
        if (header.type === 'L') next = { ...next, name: text.toString('utf8').replace(/\0.*$/s, '') };
        if (header.type === 'x') next = { ...next, ...paxFields(text) };
        continue;
      }
      next = {};
      if (FILES.has(header.type)) yield { name: header.name, size: header.size, bytes: await content(most) };
      else if (SKIPPED.has(header.type)) await content(0);
      else throw damaged(`a member has the unknown type ${JSON.stringify(header.type)}`, at);
    }
  } finally {
    await source.close();
  }
}

/** Returns what is wrong as a text. */
function readHeader(block: Buffer): Header | string {
  const sum = numberAt(block, 148, 8);
  let counted = 8 * 0x20; // the field of the sum itself counts as spaces
  for (const [at, byte] of block.entries()) if (at < 148 || at >= 156) counted += byte;
  if (sum !== counted) return 'a header has a wrong checksum';
  const size = numberAt(block, 124, 12);
  if (size === undefined) return 'a header has no valid size';
  const prefix = textAt(block, 257, 5) === 'ustar' && block[262] === 0 ? textAt(block, 345, 155) : '';
  const name = textAt(block, 0, 100);
  return { name: prefix === '' ? name : `${prefix}/${name}`, size, type: textAt(block, 156, 1) };
}

function textAt(block: Buffer, from: number, length: number): string {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString('utf8');
}

/** Octal digits, or a big number in base 256 behind a first byte of 0x80. */
function numberAt(block: Buffer, from: number, length: number): number | undefined {
  if (block[from] === 0x80) {
    const value = block.subarray(from + 1, from + length).reduce((sum, byte) => sum * 256 + byte, 0);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const text = textAt(block, from, length).trim();
  return /^[0-7]+$/.test(text) ? parseInt(text, 8) : text === '' ? 0 : undefined;
}

/** Records `LENGTH KEY=VALUE\n`. Only the name and the size matter. */
function paxFields(text: Buffer): { name?: string; size?: number } {
  const fields: { name?: string; size?: number } = {};
  for (let at = 0; at < text.length;) {
    const space = text.indexOf(0x20, at);
    const length = Number(text.subarray(at, space).toString('latin1'));
    if (space < 0 || !Number.isInteger(length) || length < 5) return fields;
    const record = text.subarray(space + 1, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === 'path') fields.name = value;
    if (key === 'size' && /^\d+$/.test(value)) fields.size = Number(value);
    at += length;
  }
  return fields;
}

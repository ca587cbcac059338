import { QalignError } from '../../../base/errors.js';
import { ByteSource } from './byte-source.js';

/** A file or a link of a tar archive. Folders and devices are skipped. */
export interface TarMember {
  /** Its path in the archive. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Its bytes; undefined if it is larger than the limit or has a problem. */
  readonly bytes: Buffer | undefined;
  /** Why its bytes are not here and what to do, as the end of a sentence about it. @default none */
  readonly problem?: string | undefined;
}

/** What extended headers say of the next member. */
interface NextMember {
  name?: string;
  size?: number;
  problem?: string;
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
const SKIPPED = new Set(['3', '4', '5', '6', 'V']);
const SPARSE = 'is stored as a sparse file; write the archive with tar without --sparse';
/** Types of members that name a file whose bytes are not in them. */
const PROBLEMS: ReadonlyMap<string, string> = new Map([
  ['1', 'is stored as a hard link; write the archive with tar --hard-dereference'],
  ['2', 'is stored as a symbolic link; write the archive with tar --dereference'],
  ['S', SPARSE],
]);

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
  let next: NextMember = {};
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
      const problem = next.problem ?? PROBLEMS.get(header.type);
      next = {};
      if (problem !== undefined) {
        if (header.type === 'S' && !(await skipSparseMap(source, block))) throw damaged('a map is cut', at);
        await content(0);
        yield { name: header.name, size: header.size, bytes: undefined, problem };
      } else if (FILES.has(header.type)) yield { name: header.name, size: header.size, bytes: await content(most) };
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

/** Skips the blocks of a map of holes that follow the header of GNU. Returns false if they are cut. */
async function skipSparseMap(source: ByteSource, header: Buffer): Promise<boolean> {
  for (let more = header[482] !== 0; more;) {
    const block = await source.read(BLOCK);
    if (block.length < BLOCK) return false;
    more = block[504] !== 0;
  }
  return true;
}

/** Records `LENGTH KEY=VALUE\n`. Only the name, the size and whether the file is sparse matter. */
function paxFields(text: Buffer): NextMember {
  const fields: NextMember = {};
  let sparseName: string | undefined;
  for (let at = 0; at < text.length;) {
    const space = text.indexOf(0x20, at);
    const length = Number(text.subarray(at, space).toString('latin1'));
    if (space < 0 || !Number.isInteger(length) || length < 5) return fields;
    const record = text.subarray(space + 1, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === 'path') fields.name = value;
    if (key === 'size' && /^\d+$/.test(value)) fields.size = Number(value);
    if (key.startsWith('GNU.sparse.')) fields.problem = SPARSE;
    if (key === 'GNU.sparse.name') sparseName = value;
    at += length;
  }
  return sparseName === undefined ? fields : { ...fields, name: sparseName };
}

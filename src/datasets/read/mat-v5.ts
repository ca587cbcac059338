// Hand-written, because label files need only part of the format (arrays, cells, text) and exact 64-bit integers.

import { inflateSync } from 'node:zlib';

/**
 * An array of a MATLAB file in column-major order. An element of `data` is a number, a text (a char row) or a nested
 * array.
 */
export interface MatArray {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: readonly MatValue[];
  /** The stored bytes of uint8 and uint64 data, because uint64 values do not fit into doubles. */
  readonly raw?: Buffer;
}
export type MatValue = number | string | MatArray;

/** A small file can expand a thousandfold. */
const MOST_BYTES = 512 * 1024 ** 2;
/** Most rows of an array of texts. The file only claims them: rows without characters take no bytes in it. */
const MOST_ROWS = 2 ** 24;
const CELL = 1;
const STRUCT = 2;
const CHAR = 4;
const OPAQUE = 17;
/** Bytes per number by type of data element, from int8 to utf32. */
const WIDTH: Readonly<Record<number, number>> = {
  1: 1,
  2: 1,
  3: 2,
  4: 2,
  5: 4,
  6: 4,
  7: 4,
  9: 8,
  12: 8,
  13: 8,
  16: 1,
  17: 2,
  18: 4,
};

interface Element {
  readonly type: number;
  readonly bytes: Buffer;
  readonly next: number;
}
/** Reference to a MATLAB `string` object: its number in the subsystem data at the end of the file. */
interface StringObject {
  readonly object: number;
}

/**
 * Reads a little-endian level 5 MAT-file (MATLAB 5 to 7.2), compressed or not. It supports numeric, char, cell and
 * struct arrays. It also supports `string` arrays, whose texts are in the subsystem data. Source: the vendor's
 * "MAT-File Format" document. The subsystem is undocumented; its layout was derived from example files.
 * @param most largest array after decompression, in bytes
 * @throws RangeError or Error for any other file
 */
export function readMatV5(file: Buffer, most = MOST_BYTES): MatArray[] {
  if (file.length < 128 || file.toString('latin1', 126, 128) !== 'IM')
    throw new Error('it does not have the header of a little-endian level 5 MAT-file');
  const arrays = topLevel(file, 128, most);
  const subsystem = arrays.find((array) => array.name === '');
  const strings = subsystem === undefined ? new Map<number, MatArray>() : readStrings(subsystem);
  return arrays.filter((array) => array !== subsystem).map((array) => resolveStrings(array, strings));
}

function topLevel(bytes: Buffer, start: number, most = MOST_BYTES): MatArray[] {
  const arrays: MatArray[] = [];
  for (let at = start; at + 8 <= bytes.length;) {
    const element = elementAt(bytes, at);
    at = element.next;
    const inner = element.type === 15 ? elementAt(inflateSync(element.bytes, { maxOutputLength: most }), 0) : element;
    if (inner.type === 14) arrays.push(matrix(inner.bytes));
  }
  return arrays;
}

function elementAt(bytes: Buffer, at: number): Element {
  const word = bytes.readUInt32LE(at);
  const small = word >>> 16;
  if (small !== 0) return { type: word & 0xffff, bytes: bytes.subarray(at + 4, at + 4 + small), next: at + 8 };
  const length = bytes.readUInt32LE(at + 4);
  const end = at + 8 + length;
  if (end > bytes.length) throw new RangeError(`an element of ${length} bytes extends beyond the end of the file`);
  // compressed elements are not padded
  return { type: word, bytes: bytes.subarray(at + 8, end), next: word === 15 ? end : Math.ceil(end / 8) * 8 };
}

function matrix(bytes: Buffer): MatArray {
  if (bytes.length === 0) return { name: '', dims: [0, 0], data: [] };
  const flags = elementAt(bytes, 0);
  const kind = flags.bytes.readUInt32LE(0) & 0xff;
  if (kind === OPAQUE) return opaque(bytes, flags.next);
  const shape = elementAt(bytes, flags.next);
  const dims = numbers(shape);
  const label = elementAt(bytes, shape.next);
  const name = label.bytes.toString('latin1');
  if (kind === CELL) {
    const data = nested(bytes, label.next).map(textOrArray);
    const claimed = dims.reduce((product, size) => product * size, 1);
    if (claimed > data.length) throw new RangeError(`a cell array of ${claimed} values has only ${data.length}`);
    return { name, dims, data };
  }
  if (kind === STRUCT)
    return { name, dims, data: nested(bytes, elementAt(bytes, elementAt(bytes, label.next).next).next) };
  const values = label.next < bytes.length ? elementAt(bytes, label.next) : undefined;
  if (kind !== CHAR && (values?.type === 2 || values?.type === 13))
    return { name, dims, data: numbers(values), raw: values.bytes };
  if (kind !== CHAR) return { name, dims, data: values === undefined ? [] : numbers(values) };
  return { name, dims: [dims[0] ?? 0, 1], data: values === undefined ? [''] : charRows(values, dims) };
}

/** The rows of a char array as texts. The characters are stored column by column. */
function charRows(values: Element, dims: readonly number[]): string[] {
  const chars =
    values.type === 16 ? [...values.bytes.toString('utf8')] : numbers(values).map((code) => String.fromCharCode(code));
  const rows = dims[0] ?? 0;
  if (rows > MOST_ROWS) throw new RangeError(`an array of ${rows} texts has more than ${MOST_ROWS}`);
  return Array.from({ length: rows }, (_, row) => {
    let text = '';
    for (let i = row; i < chars.length; i += rows) text += chars[i];
    return text;
  });
}

function nested(bytes: Buffer, start: number): MatArray[] {
  const arrays: MatArray[] = [];
  for (let at = start; at + 8 <= bytes.length;) {
    const element = elementAt(bytes, at);
    arrays.push(matrix(element.bytes));
    at = element.next;
  }
  return arrays;
}

function textOrArray(array: MatArray): MatValue {
  const [only] = array.data;
  return array.data.length === 1 && only !== undefined ? only : array;
}

function numbers({ type, bytes }: Element): number[] {
  const width = WIDTH[type];
  if (width === undefined) throw new RangeError(`it has data of the unknown type ${type}`);
  return Array.from({ length: Math.floor(bytes.length / width) }, (_, i) => {
    const at = i * width;
    if (type === 9) return bytes.readDoubleLE(at);
    if (type === 7) return bytes.readFloatLE(at);
    if (type === 12) return Number(bytes.readBigInt64LE(at));
    if (type === 13) return Number(bytes.readBigUInt64LE(at));
    return type === 1 || type === 3 || type === 5 ? bytes.readIntLE(at, width) : bytes.readUIntLE(at, width);
  });
}

/**
 * An opaque object: three names (variable, MCOS, class) and an array of 0xdd000000, ndims, dims, object numbers and
 * class number.
 */
function opaque(bytes: Buffer, start: number): MatArray {
  const [variable, system] = [elementAt(bytes, start), elementAt(bytes, elementAt(bytes, start).next)];
  const kind = elementAt(bytes, system.next);
  const inner = matrix(elementAt(bytes, kind.next).bytes);
  const name = variable.bytes.toString('latin1');
  if (kind.bytes.toString('latin1') !== 'string') return { name, dims: [1, 1], data: [inner] };
  const meta = inner.data as number[];
  const rank = meta[1] ?? 0;
  const objects = meta.slice(2 + rank, -1).map((object): StringObject => ({ object }));
  return { name, dims: [objects.length, 1], data: objects as unknown as MatValue[] };
}

/**
 * Reads the strings of the subsystem, an embedded file with one cell array. Its first cell maps objects to cells. The
 * cell of a string object is uint64: version, ndims, dims, lengths, then the UTF-16 texts.
 */
function readStrings(subsystem: MatArray): Map<number, MatArray> {
  const strings = new Map<number, MatArray>();
  const wrapper = topLevel(subsystem.raw ?? Buffer.alloc(0), 8)
    .flatMap(leaves)
    .find((array) => array.data.length > 2);
  const meta = wrapper === undefined ? undefined : (wrapper.data[0] as MatArray).raw;
  if (wrapper === undefined || meta === undefined) return strings;
  const region = (index: number): number => meta.readUInt32LE(8 + 4 * index);
  const blocks = propertyBlocks(meta, region(1), region(2));
  for (let at = region(2) + 24, object = 1; at + 24 <= region(3); at += 24, object++) {
    const value = blocks[meta.readUInt32LE(at + 12)]?.[0];
    const cell = value === undefined ? undefined : wrapper.data[2 + value];
    if (typeof cell === 'object' && cell.raw !== undefined) strings.set(object, stringArray(cell.raw));
  }
  return strings;
}

/** Arrays that contain more than two arrays, at any depth. */
function leaves(array: MatArray): MatArray[] {
  const inner = array.data.filter((value): value is MatArray => typeof value === 'object');
  return inner.length > 2 ? [array] : inner.flatMap(leaves);
}

/** The values of each block. A block is count, then count × (name, kind, value), padded to eight bytes. */
function propertyBlocks(meta: Buffer, start: number, end: number): number[][] {
  const blocks: number[][] = [];
  for (let at = start; at < end;) {
    const count = meta.readUInt32LE(at);
    blocks.push(Array.from({ length: count }, (_, i) => meta.readUInt32LE(at + 4 + 12 * i + 8)));
    at += Math.ceil((4 + 12 * count) / 8) * 8;
  }
  return blocks;
}

function stringArray(raw: Buffer): MatArray {
  const word = (index: number): number => Number(raw.readBigUInt64LE(8 * index));
  const rank = word(1);
  const dims = Array.from({ length: rank }, (_, i) => word(2 + i));
  const count = dims.reduce((product, size) => product * size, 1);
  let at = 8 * (2 + rank + count);
  const data = Array.from({ length: count }, (_, i) => {
    const length = word(2 + rank + i);
    // MATLAB marks a missing string with a length of all ones
    if (length > raw.length) return '';
    const text = raw.toString('utf16le', at, at + 2 * length);
    at += 2 * length;
    return text;
  });
  return { name: '', dims, data };
}

/** Replaces objects by their texts. If the array is one object, the result has the shape of that object's array. */
function resolveStrings(array: MatArray, strings: Map<number, MatArray>): MatArray {
  const lone = array.data.length === 1 ? objectOf(array.data[0]) : undefined;
  if (lone !== undefined) return { ...(strings.get(lone) ?? { dims: [0, 0], data: [] }), name: array.name };
  return {
    ...array,
    data: array.data.map((value) => {
      const object = objectOf(value);
      if (object !== undefined) return strings.get(object)?.data[0] ?? '';
      return typeof value === 'object' ? resolveStrings(value, strings) : value;
    }),
  };
}

function objectOf(value: unknown): number | undefined {
  return typeof value === 'object' && value !== null && 'object' in value ? (value as StringObject).object : undefined;
}

import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readMatV5 } from '../../../src/datasets/read/mat-v5.js';

const [UINT16, INT32, UINT32, MATRIX, COMPRESSED] = [4, 5, 6, 14, 15];
const [CELL, CHAR] = [1, 4];

function element(type: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type);
  head.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([head, bytes, Buffer.alloc(type === COMPRESSED ? 0 : -bytes.length & 7)]);
}
const words = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
const array = (kind: number, dims: readonly number[], content: Buffer): Buffer =>
  element(
    MATRIX,
    Buffer.concat([
      element(UINT32, words(kind, 0)),
      element(INT32, words(...dims)),
      element(1, Buffer.from('names')),
      content,
    ]),
  );
/** Texts of one length, stored column by column. */
const charArray = (rows: number, columns: number, text: string): Buffer =>
  array(CHAR, [rows, columns], element(UINT16, Buffer.from(text, 'utf16le')));
function file(...elements: Buffer[]): Buffer {
  const head = Buffer.alloc(128, ' ');
  head.write('IM', 126);
  return Buffer.concat([head, ...elements]);
}

describe('readMatV5', () => {
  it('reads the rows of an array of texts, also of many, in linear time', () => {
    expect(readMatV5(file(charArray(2, 3, 'axbycz')))[0]?.data).toEqual(['abc', 'xyz']);
    const began = performance.now();
    const [many] = readMatV5(file(charArray(20_000, 20, 'x'.repeat(400_000))));
    expect(many?.data.length).toBe(20_000);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it.each([
    ['texts', charArray(0x7fff_ffff, 1, '')],
    ['cells', array(CELL, [0x7fff_ffff, 2], charArray(1, 1, 'a'))],
  ])('refuses a file that claims more %s than it has', (_what, content) => {
    expect(() => readMatV5(file(content))).toThrow(/2147483647|4294967294/);
  });

  it('refuses a compressed array that expands beyond a limit', () => {
    const bomb = deflateSync(Buffer.alloc(1_000_000));
    expect(() => readMatV5(file(element(COMPRESSED, bomb)), 100_000)).toThrow('larger than');
  });
});

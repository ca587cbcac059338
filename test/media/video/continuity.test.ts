import { expect, it } from 'vitest';
import { createCounter } from '../../../src/media/video/continuity.js';

/** A packet of 188 bytes; `adaptation` precedes its payload. */
function packet(pid: number, counter: number, adaptation?: readonly number[]): Buffer {
  const bytes = Buffer.alloc(188, 0xff);
  bytes.set([0x47, pid >> 8, pid & 255, (adaptation === undefined ? 0x10 : 0x30) | (counter & 15)]);
  if (adaptation !== undefined) bytes.set(adaptation, 4);
  return bytes;
}
const END = Array.from({ length: 8 }, () => packet(0x1fff, 0));
const gaps = (packets: readonly Buffer[], block = 1e9, end = END): number => {
  const counter = createCounter(256);
  let bytes = Buffer.concat([...packets, ...end]);
  for (let size = block; bytes.length > 0; size = block) {
    const used = counter.read(bytes.subarray(0, size));
    if (used === 0 && size >= bytes.length) break;
    bytes = bytes.subarray(used);
    if (size >= bytes.length + used) break;
  }
  return counter.gaps();
};
const steady = Array.from({ length: 60 }, (_, i) => packet(256, i));

it('a complete stream has no gap, also with repeated packets, other elements and any first counter', () => {
  expect(gaps(steady)).toBe(0);
  expect(gaps(steady.slice(7).flatMap((one) => [one, packet(17, 3)]))).toBe(0);
  expect(gaps(steady.flatMap((one, i) => (i % 9 === 4 ? [one, one] : [one])))).toBe(0);
  const coded = [...steady, ...END].map((one) => Buffer.concat([Buffer.alloc(4), one]));
  expect(gaps(coded, 1e9, [])).toBe(0);
});

it('each gap of packets is counted, in blocks of any size', () => {
  const lost = steady.filter((_, i) => i !== 10 && (i < 30 || i > 33));
  for (const block of [1000, 1500, 1e9]) expect(gaps(lost, block), String(block)).toBe(2);
  expect(gaps(steady.with(20, Buffer.alloc(188)))).toBe(1);
  expect(gaps(steady.toSpliced(20, 0, Buffer.alloc(188)))).toBe(1);
  expect(gaps(steady.with(20, Buffer.alloc(100)))).toBe(1); // shifts the start of the packets after it
});

it('a gap that the stream announces does not count', () => {
  const joined = [...steady, packet(256, 9, [1, 0x80])];
  expect(gaps(joined)).toBe(0);
  expect(gaps([...steady, packet(256, 9, [1, 0x00])])).toBe(1);
});

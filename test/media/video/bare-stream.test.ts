import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { sniff } from '../../../src/media/decode/magic.js';
import { hasEncryptedEntry, isScrambled } from '../../../src/media/video/encryption.js';

const CASES = join(packageRoot, 'test/fixtures/cases');

it.each([
  ['tiny.y4m', 'y4m'],
  ['tiny.h264', 'h264'],
  ['capture_unaligned.mpegts', 'mpeg-ts'],
  ['recording.webm', 'matroska'],
  ['encrypted.mp4', 'mp4'],
])('%s is %s', (file, format) => {
  expect(sniff(readFileSync(join(CASES, file)).subarray(0, 4096))).toEqual({ kind: 'video', format });
});

it('random bytes with start codes, and text, are not clips', () => {
  const start = Buffer.from([0, 0, 0, 1]);
  const pieces = fc.array(fc.oneof(fc.constant(start), fc.uint8Array({ maxLength: 12 })), { maxLength: 60 });
  fc.assert(
    fc.property(pieces, (parts) => {
      expect(['unknown', 'empty', 'image', 'video']).toContain(sniff(Buffer.concat(parts)).kind);
      expect(['h264', 'hevc', 'obu', 'dv', 'mpeg-ts']).not.toContain(sniff(Buffer.concat(parts)).format);
    }),
  );
  for (const text of ['G'.repeat(100), 'Grating\n'.repeat(900), '\0\0\0\x01', '\0\0\x01\x09 text', '\0'.repeat(4096)])
    expect(sniff(Buffer.from(text, 'latin1').subarray(0, 4096)).kind, text.slice(0, 9)).not.toBe('video');
});

it('a transport stream is found from any byte of a packet', () => {
  const stream = readFileSync(join(CASES, 'capture_unaligned.mpegts'));
  for (const from of [0, 1, 63, 64, 100, 187]) expect(sniff(stream.subarray(from, from + 4096)).format).toBe('mpeg-ts');
});

it('scrambled transport streams and encrypted sample entries are detected', () => {
  const stream = Buffer.from(readFileSync(join(CASES, 'capture_unaligned.mpegts')));
  expect(isScrambled(stream)).toBe(false);
  let first = 0;
  while (![0, 1, 2, 3, 4, 5, 6, 7].every((k) => stream[first + 188 * k] === 0x47)) first += 1;
  for (let at = first; at + 3 < stream.length; at += 188) stream[at + 3] = (stream[at + 3] ?? 0) | 0x80;
  expect(isScrambled(stream)).toBe(true);
  expect(hasEncryptedEntry(readFileSync(join(CASES, 'encrypted.mp4')))).toBe(true);
  expect(hasEncryptedEntry(readFileSync(join(CASES, 'recording_same_packets.mp4')))).toBe(false);
});

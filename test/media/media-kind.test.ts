import { expect, it } from 'vitest';
import { isoTime } from '../../src/media/media-kind.js';

it.each<[bigint, string | undefined]>([
  [0n, '1970-01-01T00:00:00.000000000Z'],
  [1_795_886_953_123_456_789n, '2026-11-28T17:29:13.123456789Z'],
  [-1n, '1969-12-31T23:59:59.999999999Z'],
  [-1_000_000_000n, '1969-12-31T23:59:59.000000000Z'],
  [10n ** 30n, undefined],
])('%s nanoseconds are %s', (nanoseconds, text) => {
  expect(isoTime(nanoseconds)).toBe(text);
});

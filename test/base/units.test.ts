import { describe, expect, it } from 'vitest';
import { formatBytes, formatClock, formatDuration, formatGigabytes } from '../../src/base/units.js';

describe('units', () => {
  it.each([
    [-3, '0 s', '0:00'],
    [59.4, '59 s', '0:59'],
    [59.5, '1 min 00 s', '1:00'],
    [65, '1 min 05 s', '1:05'],
    [3599, '59 min 59 s', '59:59'],
    [3725, '1 h 02 min', '1:02:05'],
    [7800, '2 h 10 min', '2:10:00'],
    [360_000, '100 h 00 min', '100:00:00'],
  ])('%d s is "%s" and "%s"', (seconds, duration, clock) => {
    expect([formatDuration(seconds), formatClock(seconds)]).toEqual([duration, clock]);
  });

  it.each([
    [0, '0 kB'],
    [1, '1 kB'],
    [999_000, '999 kB'],
    [1_500_000, '1.5 MB'],
    [16_000_000_000, '16.0 GB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('gigabytes with the requested digits', () => {
    expect([formatGigabytes(930_000_000), formatGigabytes(1_234_000_000, 2)]).toEqual(['0.9 GB', '1.23 GB']);
  });
});

import { describe, expect, it } from 'vitest';
import { bar, progressLine } from '../../../src/cli/terminal/progress.js';

describe('progressLine', () => {
  it('shows share, rate and time to go', () => {
    expect(progressLine({ done: 50, failed: 2, total: 200, elapsedMs: 10_000 })).toBe(
      `${'█'.repeat(6)}${'░'.repeat(18)} 50/200 (25 %), 2 failed, 5.0/s, 30 s to go`,
    );
  });
  it('counts what was kept from an earlier run as done, but not as fast', () => {
    const line = progressLine({ done: 7626, kept: 6319, failed: 0, total: 50_000, elapsedMs: 9_500 });
    expect(line).toContain('7626/50000 (15 %), 6319 scored before, 138/s, 5 min');
  });
  it('does without a total and without any progress', () => {
    expect(progressLine({ done: 3, failed: 0, total: undefined, elapsedMs: 100 })).toBe('3 scored, 30/s');
    expect(progressLine({ done: 0, failed: 0, total: 5, elapsedMs: 0 })).toContain('0/5 (0 %), 0.0/s');
  });
});

describe('bar', () => {
  it.each([
    [0, 4, '░░░░'],
    [0.5, 4, '██░░'],
    [1, 4, '████'],
    [0.49, 16, '████████░░░░░░░░'],
  ])('%d of %d cells', (share, width, text) => expect(bar(share, width)).toBe(text));
});

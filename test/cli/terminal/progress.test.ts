import { describe, expect, it } from 'vitest';
import { bar, fitProgress } from '../../../src/cli/terminal/bar.js';
import { progressLine } from '../../../src/cli/terminal/progress.js';

describe('progressLine', () => {
  it('shows percentage, rate and remaining time', () => {
    expect(progressLine({ done: 50, failed: 2, total: 200, elapsedMs: 10_000 })).toBe(
      `${'█'.repeat(6)}${'░'.repeat(18)} 50/200 (25 %), 2 failed, 5.0/s, 30 s to go`,
    );
  });
  it('counts results of an earlier run as done, but not in the rate', () => {
    const line = progressLine({ done: 7626, kept: 6319, failed: 0, total: 50_000, elapsedMs: 9_500 });
    expect(line).toContain('7626/50000 (15 %), 6319 scored before, 138/s, 5 min');
  });
  it('counts as scored only the scores of this run, like the summary', () => {
    const line = progressLine({ done: 1500, kept: 1100, failed: 3, total: undefined, elapsedMs: 10_000 });
    expect(line).toBe('397 scored, 3 failed, 1100 scored before, 40/s');
  });
  it('shows a slow rate per minute', () => {
    expect(progressLine({ done: 2, failed: 0, total: 4, elapsedMs: 60_000 })).toContain('2.0/min, 1 min 00 s to go');
  });
  it('works without a total and without progress', () => {
    expect(progressLine({ done: 3, failed: 0, total: undefined, elapsedMs: 100 })).toBe('3 scored, 30/s');
    expect(progressLine({ done: 0, failed: 0, total: 5, elapsedMs: 0 })).toContain('0/5 (0 %), 0.0/s');
  });
});

describe('fitProgress', () => {
  const line = `koniq: ${'█'.repeat(6)}${'░'.repeat(18)} 50/200 (25 %), 2 failed, 5.0/s, 30 s to go`;
  it.each([
    [80, line],
    [60, `koniq: ${'█'.repeat(3)}${'░'.repeat(7)} 50/200 (25 %), 2 failed, 5.0/s, 30 s to go`],
    [50, 'koniq: 50/200 (25 %), 2 failed, 5.0/s, 30 s to go'],
    [45, 'koniq: 50/200 (25 %), 2 failed, 30 s to go'],
    [35, 'koniq: 50/200 (25 %), 30 s to go'],
    [25, 'koniq: 50/200 (25 %)'],
  ])('in %i cells has a shorter bar, then fewer parts', (width, text) => expect(fitProgress(line, width)).toBe(text));

  it('keeps the count at the end of a long text', () => {
    expect(fitProgress('measuring pictures with the encoder: 123/4567', 30)).toBe('measuring pictures …: 123/4567');
    expect(fitProgress('写真写真写真 loading', 8)).toBe('写真写…');
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

import { describe, expect, it } from 'vitest';
import type { ScoreOutcome } from '../../../src/api/result.js';
import { createScoreTable } from '../../../src/cli/score/score-table.js';
import { coloured, plain, withoutStyles } from '../../../src/cli/terminal/colour.js';
import { widthOf } from '../../../src/cli/terminal/width.js';

const scored = (input: string, more: object = {}): ScoreOutcome =>
  ({
    input,
    task: 'quality',
    score: 4.28054,
    scale: 'mos5',
    level: 'good',
    level_probs: { excellent: 0.3, good: 0.65, fair: 0.05, poor: 0, bad: 0 },
    model: { id: 'nano' },
    warnings: [],
    ...more,
  }) as unknown as ScoreOutcome;
const failed = (input: string): ScoreOutcome =>
  ({
    input,
    task: 'quality',
    error: { code: 'MEDIA_NOT_FOUND', message: 'There is no such file; check the path and try it again.' },
  }) as unknown as ScoreOutcome;

const LONG = '/data/写真/a/very/long/folder/😀/DSC_0001-of-a-series-of-pictures.jpg';

describe('the table of scores', () => {
  it('drops the task, then the probability, and truncates names at the beginning', () => {
    const lines = (columns: number): string[] => createScoreTable({ columns, paint: plain })([scored(LONG)]);
    expect(lines(80)).toEqual([
      ' score 1–5  level      probability  task        input',
      '    4.2805  good              65 %  quality     …001-of-a-series-of-pictures.jpg',
    ]);
    expect(lines(65)[0]).toBe(' score 1–5  level      probability  input');
    expect(lines(50)).toEqual([' score 1–5  level      input', '    4.2805  good       …f-a-series-of-pictures.jpg']);
    expect(lines(Infinity)[1]).toContain(LONG);
  });

  it.each([80, 65, 50, 40])('has no line wider than %i cells, with failures, warnings and calibration', (columns) => {
    const table = createScoreTable({ columns, paint: coloured });
    const lines = [
      ...table([scored(LONG, { warnings: ['The picture is an animation of which the first frame is scored.'] })]),
      ...table([failed(LONG)]),
      ...table([scored('b.jpg', { calibrated_score: 61.25 })]),
    ];
    for (const line of lines) expect(widthOf(line), withoutStyles(line)).toBeLessThanOrEqual(columns);
    const text = lines.map(withoutStyles).join('\n');
    expect(text).toMatch(/^! +4\.2805 {2}good/m);
    expect(text).toMatch(/^! +warning: The picture/m);
    expect(text).toMatch(/^ +– {2}failed /m);
    expect(text).toContain('(calibrated: 61.2500)');
  });

  it.each([1, 5, 10, 18, 25])('is drawn on a terminal of %i columns, with any error of an input', (columns) => {
    const table = createScoreTable({ columns, paint: plain });
    const lines = [...table([scored('漢字.jpg', { warnings: ['Too long.'] })]), ...table([failed('b\u0301.jpg')])];
    expect(lines.join('').replaceAll(/\s/g, '')).toMatch(/Toolong\..*MEDIA_NOT_FOUND/);
  });

  it('has a heading again after a resize', () => {
    const terminal = { columns: 80, paint: plain };
    const table = createScoreTable(terminal);
    expect([table([scored('a.jpg')]).length, table([scored('b.jpg')]).length]).toEqual([2, 1]);
    terminal.columns = 50;
    expect(table([scored('c.jpg')])[0]).toBe(' score 1–5  level      input');
  });

  it('shows the task if there are two, and the model if there are several', () => {
    const two = [scored('a.jpg'), scored('a.jpg', { task: 'aesthetics', model: { id: 'one-align' } })];
    const [head, first, second] = createScoreTable({ columns: 80, paint: plain }, ['nano', 'one-align'])(two);
    expect(head).toBe(' score 1–5  level      task        model      input');
    expect(first).toBe('    4.2805  good       quality     nano       a.jpg');
    expect(second).toBe('    4.2805  good       aesthetics  one-align  a.jpg');
  });
});

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { EvaluateRecipe } from '../../../src/config/evaluate.js';
import { checkConfig, loadConfig } from '../../../src/config/load.js';
import { evaluate } from '../../../src/recipes/evaluate/evaluate.js';
import { metricsTable } from '../../../src/recipes/evaluate/markdown.js';
import { difference, PAPER_MODELS, publishedFigure } from '../../../src/recipes/evaluate/published-figures.js';
import { computeMetrics } from '../../../src/scoring/statistics/metrics.js';

const CARD = 'model card of q-future/one-align';

describe('published figures', () => {
  it('are those of the model card if it has one, else those of the paper, and name the source', () => {
    expect(publishedFigure('q-future/q-align-iqa', 'livec')).toEqual({ srcc: 0.887, plcc: 0.896, source: CARD });
    expect(PAPER_MODELS.iqa.figures.livec).toEqual({ srcc: 0.883, plcc: 0.887, source: 'paper, Tables 4 to 7' });
    expect(publishedFigure('q-future/q-align-aesthetic', 'ava')).toMatchObject({ srcc: 0.822, plcc: 0.817 });
    expect(publishedFigure('q-future/q-align-aesthetic', 'ava').source).toBe('paper, Tables 4 to 7');
  });

  it('refuse an unknown checkpoint and an unknown test set, with the nearest name', () => {
    expect(() => publishedFigure('q-future/one-aling', 'koniq')).toThrow(/did you mean "q-future\/one-align"/);
    expect(() => publishedFigure('q-future/one-align', 'konik')).toThrow(/did you mean "koniq"/);
    expect(() => publishedFigure('q-future/one-align', 'toString')).toThrow(/No published figure/);
  });

  it('exist for every entry of the shipped recipes that names one', async () => {
    const files = readdirSync(join(packageRoot, 'configs/evaluate')).filter((name) => name.endsWith('.yaml'));
    const recipes = await Promise.all(files.map((name) => loadConfig(EvaluateRecipe, `configs/evaluate/${name}`)));
    const named = recipes.flatMap(({ data }) =>
      data.flatMap(({ name, paper }) => (typeof paper === 'string' ? [publishedFigure(paper, name)] : [])),
    );
    expect(named).toHaveLength(24);
    expect(new Set(named.map(({ source }) => source))).toEqual(new Set([CARD]));
  });

  it('in a recipe stay valid, with their own source', () => {
    const paper = { srcc: 0.5, plcc: 0.6, source: 'my thesis' };
    const recipe = { name: 'x', model: 'nano', data: [{ name: 'mine', records: 'mine.jsonl', paper }] };
    expect(checkConfig(EvaluateRecipe, recipe, 'x').data[0]?.paper).toEqual(paper);
    expect(() =>
      checkConfig(EvaluateRecipe, { ...recipe, data: [{ ...recipe.data[0], paper: { srcc: 1, plcc: 1 } }] }, 'x'),
    ).toThrow();
  });

  it('that are not published are refused before any prediction', async () => {
    const data = [{ name: 'mine', records: 'mine.jsonl', paper: 'q-future/one-align' }];
    await expect(evaluate({ name: 'x', model: 'nano', data })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('metricsTable', () => {
  it('prints the source beside the figure, and the difference', () => {
    const metrics = computeMetrics({ scores: [1, 2, 3, 4], mos: [1, 2, 3, 4] }, { replicates: 100 });
    const dataset = {
      records: 4,
      failed: [],
      warned: [],
      metrics,
      ranges: { score: [0, 0], mos: [0, 0] } as const,
      level_counts: { predicted: [], mos: null },
      confusion: null,
    };
    const rest = { ...dataset, dataset: 'koniq', worst: [], predictions: '', calibration: null };
    const { head, rows } = metricsTable([
      { ...rest, paper: publishedFigure('q-future/one-align', 'koniq') },
      { ...rest, paper: null },
    ]);
    expect(head.slice(-2)).toEqual(['paper SRCC/PLCC', 'difference']);
    expect(rows.map((row) => row.slice(-2))).toEqual([
      [`0.941/0.950 (${CARD})`, '+0.059/+0.050'],
      ['–', '–'],
    ]);
  });
});

describe('difference', () => {
  it('is our value minus the published one, or null if one is missing', () => {
    expect(difference(0.5, 0.75)).toBe(-0.25);
    expect([difference(null, 0.5), difference(0.5, null), difference(0.5, undefined)]).toEqual([null, null, null]);
  });
});

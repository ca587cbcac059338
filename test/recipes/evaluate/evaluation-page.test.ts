import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../../src/recipes/evaluate/evaluate.js';
import { fakeScorer } from '../score/fake-scorer.js';
import { makeRecords } from './records.js';

let folder = '';
let html = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-page-'));
  const records = await makeRecords(folder, 60);
  await evaluate(
    { name: 'page', model: 'tiny-untrained', data: [{ name: 'made-up', records }] },
    { createScorer: async () => fakeScorer(), out: join(folder, 'out'), command: 'qalign evaluate page.yaml' },
  );
  html = await readFile(join(folder, 'out/report.html'), 'utf8');
});
afterAll(() => rm(folder, { recursive: true }));

describe('the page of an evaluation', () => {
  it('names its axes with scale and direction, from low to high', () => {
    for (const label of [
      'score (1–5)',
      'MOS (20 to 88 here)',
      'mapped score − MOS',
      'level of the MOS',
      'level of the model',
    ])
      expect(html.includes(`>${label}</text>`), label).toBe(true);
    const levels = [...html.matchAll(/<text[^>]*>(bad|poor|fair|good|excellent)<\/text>/g)].map(([, level]) => level);
    expect(levels.slice(0, 5)).toEqual(['bad', 'poor', 'fair', 'good', 'excellent']);
  });

  it('states when and by which command it was made, and links to its data and sections', () => {
    expect(html).toMatch(/Made \d{4}-\d\d-\d\d \d\d:\d\d UTC by qalign \d/);
    expect(html).toContain('<code>qalign evaluate page.yaml</code>');
    for (const link of ['evaluation.json', 'predictions/made-up.jsonl', '#worst'])
      expect(html.includes(`href="${link}"`), link).toBe(true);
  });

  it('shows the closest, typical and worst items with pictures, each once', () => {
    const [, closest = '', typical = '', worst = ''] = html.split(/<h3 /);
    const names = [closest, typical, worst].map((part) => [...part.matchAll(/alt="([^"]+)"/g)].map(([, name]) => name));
    expect(names.map((part) => part.length)).toEqual([6, 6, 12]);
    expect(new Set(names.flat()).size).toBe(24);
    expect(closest).toMatch(/score \d\.\d\d\nMOS \d+(\.\d)?\noff by/);
  });

  it('has no script, no absolute path and no external resource', () => {
    expect(html.includes("default-src 'none'")).toBe(true);
    const text = html.replaceAll(/"data:[^"]*"/g, '"data:"');
    expect(text).not.toMatch(/<script|src="(?!data:)|NaN|undefined/);
    expect(text.includes(tmpdir())).toBe(false);
  });

  it('lets every figure be saved as a standalone drawing, and as numbers', () => {
    const files = [...html.matchAll(/download="([^"]+)" href="data:[^;]+;(?:charset=utf-8;)?base64,([^"]+)"/g)];
    const text = (name: string): string =>
      Buffer.from(files.find(([, found]) => found === name)![2]!, 'base64').toString();
    expect(files).toHaveLength(2 * html.match(/<svg /g)!.length);
    expect(text('made-up-scores.csv')).toMatch(/^id,score,mos,mapped\n0\.png,/);
    expect(text('made-up-levels.svg')).not.toMatch(/var\(|<title>/);
  });
});

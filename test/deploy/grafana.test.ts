import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Histogram } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { createMetrics } from '../../src/server/metrics.js';
import type { Admission } from '../../src/server/score/admission.js';

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly w: number };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const dashboard = JSON.parse(readFileSync(join(packageRoot, 'deploy/grafana/qalign.json'), 'utf8')) as Dashboard;
const targets = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));

const metrics = createMetrics();
const decodeBudget = { used: 0, most: 0, waiting: 0 };
metrics.watch(new Map(), {} as Admission, { memoryUsed: () => 0, decodeBudget, webhooksWaiting: () => 0 });
/** The labels of each series of /metrics; a histogram has three series. */
const known = new Map(
  metrics.registry.getMetricsAsArray().flatMap((metric) => {
    const { name, labelNames, type } = metric as unknown as Histogram & {
      readonly name: string;
      readonly labelNames: readonly string[];
      readonly type: string;
    };
    const ends = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    return ends.map((end) => [name + end, [...labelNames, 'instance', 'le']] as const);
  }),
);
const seriesOf = (text: string): string[] =>
  [...text.matchAll(/\b(?:qalign|process|nodejs)_\w+/g)].map(([name]) => name);

describe('deploy/grafana/qalign.json', () => {
  it.each(targets)('$title: $legendFormat uses existing metrics and labels', ({ expr, legendFormat }) => {
    const names = seriesOf(expr);
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
    const labels = names.flatMap((name) => known.get(name) ?? []);
    const used = [
      ...[...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/)),
      ...[...expr.matchAll(/(\w+)=~?"/g)].map(([, label = '']) => label),
      ...[...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label),
    ];
    expect(used.filter((label) => !labels.includes(label))).toEqual([]);
  });

  it('shows every metric of the service', () => {
    const shown = new Set(
      targets.flatMap(({ expr }) => seriesOf(expr)).map((name) => name.replace(/_(bucket|sum|count)$/, '')),
    );
    const own = metrics.registry.getMetricsAsArray().map(({ name }) => name);
    expect(own.filter((name) => name.startsWith('qalign_') && !shown.has(name))).toEqual([]);
  });

  it('has panels with unique ids, within the 24 columns, and variables of existing metrics', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    expect(dashboard.panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
    for (const { definition = '' } of dashboard.templating.list)
      expect(seriesOf(definition).filter((name) => !known.has(name))).toEqual([]);
  });
});

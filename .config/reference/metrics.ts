import { createMetrics } from '../../src/server/metrics.js';
import { membersOf } from './declarations.js';
import { code, GENERATED, page, prose, sentence, table } from './markdown.js';

export interface MetricRow {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames?: readonly string[];
}

const LABELS: Readonly<Record<string, string>> = {
  model: 'Name of a loaded model.',
  device: 'Device of a worker: `cpu`, `cuda:0`, …',
  lane: '`interactive` (requests) or `bulk` (jobs).',
  kind: '`allocated`, `reserved`, `peak`, `free` or `total`: a kind of memory.',
  stage: '`queue`: an item waits; `service`: a batch, from sending it to its answer; `compute`: a batch at the worker.',
  state: '`ready`, `starting`, `silent` (does not answer) or `set_aside` (failed repeatedly; is retried later).',
  outcome:
    'For an item: `scored` or `failed`. For a shard: `written`, `present` or `failed`. For a webhook: `delivered`, `retried` or `failed`.',
  reason: 'An [error code](errors.md); `FLOOD` or `CONNECTIONS` for requests that were refused before they were read.',
  method: 'HTTP method.',
  route: 'Path of the route as in [HTTP](http.md), with its parameters in braces.',
  status: 'HTTP status.',
};

/** Only Linux has these of Node's own metrics. */
const LINUX_ONLY = /^process_(virtual_memory_bytes|heap_bytes|open_fds|max_fds)$/;

/** Every metric of the service, read without a loaded model or a counted request. */
export function allMetrics(): MetricRow[] {
  const metrics = createMetrics();
  metrics.watch(new Map(), undefined as never, {
    memoryUsed: () => 0,
    decodeBudget: { used: 0, most: 0, waiting: 0 },
    webhooksWaiting: () => 0,
  });
  return metrics.registry.getMetricsAsArray() as unknown as MetricRow[];
}

export function metricsPage(): string {
  const all = allMetrics();
  const own = all.filter(({ name }) => name.startsWith('qalign_'));
  const labels = [...new Set(own.flatMap(({ labelNames = [] }) => labelNames))].sort();
  return page(
    GENERATED,
    '# Metrics',
    '## Metrics of the service',
    '`GET /metrics` returns the text format of Prometheus. A histogram has the series `_bucket`, `_sum` and `_count`. `deploy/grafana/qalign.json` is a dashboard for Grafana.',
    table(
      ['Metric', 'Type', 'Labels', 'Meaning'],
      own.map(({ name, type, labelNames = [], help }) => [
        code(name),
        type,
        labelNames.map(code).join(', '),
        prose(sentence(help)),
      ]),
    ),
    table(
      ['Label', 'Values'],
      labels.map((label) => [code(label), valuesOf(label)]),
    ),
    '### Metrics of Node',
    'The default metrics of prom-client. On Linux there are also `process_virtual_memory_bytes`, `process_heap_bytes`, `process_open_fds` and `process_max_fds`.',
    table(
      ['Metric', 'Type', 'Meaning'],
      all
        .filter(({ name }) => !name.startsWith('qalign_') && !LINUX_ONLY.test(name))
        .map(({ name, type, help }) => [code(name), type, prose(sentence(help))]),
    ),
    '## Metrics of an evaluation',
    'Fields of `metrics` in `evaluation.json`, in answers of `/v1/evaluations` and of `computeMetrics`. An undefined statistic (of a constant list, or without levels) is `null`.',
    table(
      ['Metric', 'Meaning'],
      membersOf('src/scoring/statistics/metrics.ts', 'Metrics').map(({ name, doc }) => [code(name), prose(doc)]),
    ),
  );
}

function valuesOf(label: string): string {
  const values = LABELS[label];
  if (values === undefined) throw new Error(`.config/reference/metrics.ts has no description of the label ${label}`);
  return values;
}

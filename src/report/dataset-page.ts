import { histogram } from './histogram.js';
import { escape, figure, page, row, table } from './page.js';
import { bars } from './plots.js';

export interface SplitReport {
  n: number;
  /** Rows of the label files; null where only the records are known. */
  n_all: number | null;
  dropped_outside: number | null;
  dropped_media: number | null;
  /** What was divided into levels; null where only the records are known. */
  range: [number, number] | null;
  levels: Record<string, number>;
  /** Of the levels, as numbers, with the MOS. */
  srcc: number | null;
  plcc: number | null;
  mos: { min: number; max: number; mean: number };
  /** Part of the records that have a spread of the ratings. */
  std_coverage: number;
  /** Records whose MOS is exactly on an edge between two levels; null where the range is not known. */
  on_edge: { count: number; examples: string[] } | null;
}

export interface MediaReport {
  checked: number;
  missing: { id: string; message: string }[];
  corrupt: { id: string; code: string; message: string }[];
  /** Records with the same bytes. */
  duplicated: string[][];
  /** Very long, or very small. */
  odd_shape: { id: string; width: number; height: number }[];
  /** Sizes in pixels, the most frequent first. */
  sizes: { size: string; count: number }[];
}

/** What there is to know about a data set; the JSON of `qalign dataset report`. */
export interface DatasetReport {
  title: string;
  dataset: string;
  kind: string;
  task: string;
  licence: string | null;
  source: string | null;
  files: string[];
  level_names: string[];
  soft_labels: number;
  n: number;
  splits: Record<string, SplitReport>;
  /** null where media was not looked at. */
  media: MediaReport | null;
  notes: string[];
}

const LISTED = 50;

/** @param mos split → its scores @param edges split → the edges between its levels */
export function datasetPage(
  report: DatasetReport,
  mos: Readonly<Record<string, ArrayLike<number>>>,
  edges: Readonly<Record<string, readonly number[]>>,
): string {
  const splits = Object.entries(report.splits);
  const facts = [
    ['records', String(report.n)],
    ['what', `${report.task} of ${report.kind}s`],
    [
      'labels',
      report.files.length === 0
        ? '–'
        : `${report.files.join(', ')}${report.source === null ? '' : ` (source ${report.source})`}`,
    ],
    ['soft labels', `${percent(report.soft_labels)} of the records`],
    ['licence', report.licence ?? 'not known: there is no dataset.json beside the records'],
  ];
  const body = [
    table(['', ''], facts),
    ...report.notes.map((note) => `<p class="note">${escape(note)}</p>`),
    '<h2>Splits</h2>',
    table(
      [
        'split',
        'records',
        'rows',
        'outside',
        'no media',
        'MOS',
        'mean',
        'range of the levels',
        'on an edge',
        'with std',
        'SRCC',
        'PLCC',
      ],
      splits.map(([name, split]) => [
        name,
        String(split.n),
        cell(split.n_all),
        cell(split.dropped_outside),
        cell(split.dropped_media),
        `${short(split.mos.min)} – ${short(split.mos.max)}`,
        short(split.mos.mean),
        split.range === null ? '–' : split.range.map(short).join(' – '),
        cell(split.on_edge?.count ?? null),
        percent(split.std_coverage),
        split.srcc?.toFixed(3) ?? '–',
        split.plcc?.toFixed(3) ?? '–',
      ]),
    ),
    '<p class="soft">SRCC and PLCC are between the levels, as numbers, and the MOS: what is lost when scores become words.</p>',
    ...splits.map(([name, split]) => splitSection(name, split, report.level_names, mos[name] ?? [], edges[name] ?? [])),
    '<h2>Media</h2>',
    report.media === null
      ? '<p>Not looked at: say with --media where the pictures or clips are.</p>'
      : mediaSection(report.media),
  ];
  return page({ title: `${report.title}: ${report.n} records`, body: body.join('\n') });
}

function splitSection(
  name: string,
  split: SplitReport,
  levels: readonly string[],
  mos: ArrayLike<number>,
  edges: readonly number[],
): string {
  const plots = row(
    figure(
      histogram(mos, { xLabel: 'MOS', yLabel: 'records', marks: edges }),
      edges.length > 0 ? 'Scores; the dashed lines are the edges between levels.' : 'Scores.',
    ),
    figure(
      bars({
        names: levels,
        series: [{ name, values: levels.map((level) => split.levels[level] ?? 0) }],
        yLabel: 'records',
      }),
      'Records of each level.',
    ),
  );
  const onEdge =
    split.on_edge === null || split.on_edge.count === 0
      ? ''
      : `<p class="soft">On an edge between two levels: ${escape(split.on_edge.examples.join(', '))}${split.on_edge.count > split.on_edge.examples.length ? ` and ${split.on_edge.count - split.on_edge.examples.length} more` : ''}.</p>`;
  return `<h3>${escape(name)}</h3>${plots}${onEdge}`;
}

function mediaSection(media: MediaReport): string {
  const lists = [
    list(
      'Missing',
      ['record', 'what is wrong'],
      media.missing.map(({ id, message }) => [id, message]),
    ),
    list(
      'Damaged',
      ['record', 'code', 'what is wrong'],
      media.corrupt.map(({ id, code, message }) => [id, code, message]),
    ),
    list(
      'The same bytes under several names',
      ['records'],
      media.duplicated.map((ids) => [ids.join(', ')]),
    ),
    list(
      'Of odd shape',
      ['record', 'width', 'height'],
      media.odd_shape.map(({ id, width, height }) => [id, String(width), String(height)]),
    ),
  ];
  const sum = `${media.checked} files were opened: ${media.missing.length} missing, ${media.corrupt.length} damaged, ${media.duplicated.length} sets of the same bytes, ${media.odd_shape.length} of odd shape.`;
  return [
    `<p>${escape(sum)}</p>`,
    ...lists,
    list(
      'Sizes',
      ['pixels', 'files'],
      media.sizes.map(({ size, count }) => [size, String(count)]),
    ),
  ].join('\n');
}

function list(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const more = rows.length > LISTED ? `<p class="soft">… and ${rows.length - LISTED} more, in the JSON.</p>` : '';
  return `<h3>${escape(title)} (${rows.length})</h3>${table(head, rows.slice(0, LISTED))}${more}`;
}

function cell(value: number | null): string {
  return value === null ? '–' : String(value);
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}

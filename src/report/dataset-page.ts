import { figure } from './figure.js';
import { binned, histogram, short } from './histogram.js';
import { escape } from './escape.js';
import { heading, page, row, table, type Origin } from './page.js';
import { bars } from './plots.js';

export interface SplitReport {
  n: number;
  /** Rows of the label files; null if only the records are known. */
  n_all: number | null;
  dropped_outside: number | null;
  dropped_media: number | null;
  /** Score range that was divided into levels; null if only the records are known. */
  range: [number, number] | null;
  levels: Record<string, number>;
  /** Correlations of the levels, as numbers, with the MOS. */
  srcc: number | null;
  plcc: number | null;
  mos: { min: number; max: number; mean: number };
  /** Share of the records that have a standard deviation of the ratings, 0 to 1. */
  std_coverage: number;
  /** Records whose MOS is exactly on an edge between two levels; null if the range is unknown. */
  on_edge: { count: number; examples: string[] } | null;
}

export interface MediaReport {
  checked: number;
  missing: { id: string; message: string }[];
  corrupt: { id: string; code: string; message: string }[];
  /** Groups of records with the same bytes. */
  duplicated: string[][];
  /** Records with very long or very small media. */
  odd_shape: { id: string; width: number; height: number }[];
  /** Sizes in pixels, the most frequent first. */
  sizes: { size: string; count: number }[];
}

/** The report about a data set: the JSON of `qalign dataset report`. */
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
  /** Null if media were not checked. */
  media: MediaReport | null;
  notes: string[];
}

/** A picture of a level, or a frame of a clip. */
export interface LevelExample {
  readonly id: string;
  readonly mos: number;
  readonly mos_std?: number | undefined;
  /** A data URI. */
  readonly image: string;
}

/** The data of the plots and examples of a page. */
export interface DatasetDrawings {
  /** Split → its scores. */
  readonly mos: Readonly<Record<string, ArrayLike<number>>>;
  /** Split → the standard deviations of the ratings, of the records that have one. */
  readonly std: Readonly<Record<string, ArrayLike<number>>>;
  /** Split → the edges between its levels, from low to high. */
  readonly edges: Readonly<Record<string, readonly number[]>>;
  /** Lowest and highest possible score, if known. */
  readonly scale: readonly [number, number] | undefined;
  readonly examples: Readonly<Record<string, readonly LevelExample[]>>;
}

export interface DatasetPageOptions {
  readonly origin?: Origin | undefined;
  /** Absolute folders of the data; paths are shown relative to them. */
  readonly roots?: readonly string[] | undefined;
}

const LISTED = 50;
const SHARED_IDS = 5;

export function datasetPage(
  report: DatasetReport,
  drawings: DatasetDrawings,
  options: DatasetPageOptions = {},
): string {
  const splits = Object.entries(report.splits);
  const labels = `${report.files.join(', ')}${report.source === null ? '' : ` (source ${report.source})`}`;
  const facts = [
    ['records', String(report.n)],
    ['ratings', `${report.task} of ${report.kind}s`],
    ['labels', report.files.length === 0 ? '–' : labels],
    ['soft labels', `${percent(report.soft_labels)} of the records`],
    ['licence', report.licence ?? 'unknown: there is no dataset.json beside the records'],
  ];
  const body = [
    table(['', ''], facts),
    ...report.notes.map((note) => `<p class="note">${escape(note)}</p>`),
    heading(2, 'Splits'),
    splitTable(splits),
    '<p class="soft">SRCC and PLCC compare the levels, as numbers, with the MOS. They show how much is lost when scores become words.</p>',
    ...splits.map(([name, split]) => splitSection(name, split, report.level_names, drawings)),
    examplesSection(report, drawings.examples),
    heading(2, 'Media'),
    report.media === null
      ? '<p>Not checked. Name the folder of the pictures or clips with --media.</p>'
      : mediaSection(report.media),
  ];
  return page({ title: `${report.title}: ${report.n} records`, body: body.join('\n'), ...options });
}

function splitTable(splits: readonly (readonly [string, SplitReport])[]): string {
  const head = [
    'split',
    'records',
    'rows',
    'outside range',
    'no media',
    'lowest MOS',
    'mean MOS',
    'highest MOS',
    'levels from',
    'to',
    'on an edge',
    'with std',
    'SRCC',
    'PLCC',
  ];
  const rows = splits.map(([name, split]) => [
    name,
    String(split.n),
    cell(split.n_all),
    cell(split.dropped_outside),
    cell(split.dropped_media),
    short(split.mos.min),
    short(split.mos.mean),
    short(split.mos.max),
    ...(split.range?.map((value) => short(value)) ?? ['–', '–']),
    cell(split.on_edge?.count ?? null),
    percent(split.std_coverage),
    split.srcc?.toFixed(3) ?? '–',
    split.plcc?.toFixed(3) ?? '–',
  ]);
  return table(head, rows);
}

/** Plots of the scores, levels and standard deviations of a split, from low on the left to high on the right. */
function splitSection(
  name: string,
  split: SplitReport,
  levelNames: readonly string[],
  { mos, std, edges, scale }: DatasetDrawings,
): string {
  const levels = [...levelNames].reverse();
  const [scores, spreads, between] = [mos[name] ?? [], std[name] ?? [], edges[name] ?? []];
  const counts = levels.map((level) => split.levels[level] ?? 0);
  const range = split.range ?? undefined;
  const unit =
    scale !== undefined
      ? ` (${short(scale[0])}–${short(scale[1])})`
      : ` (${range === undefined ? 'scale unknown' : `levels over ${short(range[0])}–${short(range[1])}`})`;
  const figures = [
    figure(
      histogram(scores, {
        xLabel: `MOS${unit}`,
        yLabel: 'records',
        marks: between,
        range,
        parts: between.length > 0 ? levels : [],
      }),
      between.length > 0
        ? `Scores. The dashed lines are the edges between levels: ${between.map((value) => short(value)).join(', ')}.`
        : 'Scores.',
      { name: `${name}-mos`, ...binRows(scores) },
    ),
    figure(
      bars({ names: levels, series: [{ name, values: counts }], xLabel: 'level', yLabel: 'records' }),
      'Records of each level.',
      { name: `${name}-levels`, head: ['level', 'records'], rows: levels.map((level, i) => [level, counts[i]!]) },
    ),
  ];
  if (spreads.length > 0)
    figures.push(
      figure(
        histogram(spreads, { xLabel: 'standard deviation of the ratings, in units of the MOS', yLabel: 'records' }),
        `Standard deviation of the ratings of one item, for the ${spreads.length} records that have one.`,
        { name: `${name}-std`, ...binRows(spreads) },
      ),
    );
  return `${heading(3, name)}${row(...figures)}${onEdgeSentence(split)}`;
}

function binRows(values: ArrayLike<number>): { head: string[]; rows: number[][] } {
  const { from, to, counts } = binned(values);
  const step = (to - from) / counts.length;
  return {
    head: ['from', 'to', 'records'],
    rows: counts.map((count, i) => [from + i * step, from + (i + 1) * step, count]),
  };
}

function onEdgeSentence({ on_edge: onEdge }: SplitReport): string {
  if (onEdge === null || onEdge.count === 0) return '';
  const rest = onEdge.count - onEdge.examples.length;
  return `<p class="soft">On an edge between two levels: ${escape(onEdge.examples.join(', '))}${rest > 0 ? ` and ${rest} more` : ''}.</p>`;
}

function examplesSection(
  { level_names: names, splits, kind }: DatasetReport,
  examples: DatasetDrawings['examples'],
): string {
  if (names.every((level) => (examples[level] ?? []).length === 0)) return '';
  const parts = [...names].reverse().map((level) => {
    const count = Object.values(splits).reduce((sum, split) => sum + (split.levels[level] ?? 0), 0);
    const pictures = (examples[level] ?? []).map(({ id, mos, mos_std: std, image }) =>
      figure(
        `<img src="${image}" alt="${escape(id)}" loading="lazy">`,
        `MOS ${short(mos, 3)}${std === undefined ? '' : ` ± ${short(std, 3)}`}\n${id}`,
      ),
    );
    const why = count === 0 ? 'No record has this level.' : `No ${kind} of this level could be shown.`;
    const none = pictures.length === 0 ? `<p class="soft">${why}</p>` : '';
    return `${heading(3, `${level} (${count})`)}${none}<div class="thumbs">${pictures.join('\n')}</div>`;
  });
  return `${heading(2, 'Examples by level')}<p class="soft">The examples are spread evenly over the scores of the level, lowest first${kind === 'video' ? '; the first frame of each clip' : ''}. Captions show the MOS ± the standard deviation of the ratings, if known.</p>${parts.join('\n')}`;
}

function mediaSection(media: MediaReport): string {
  const { checked, missing, corrupt, duplicated, odd_shape: odd, sizes } = media;
  const counts = [
    ['missing', `${missing.length} of ${checked}`],
    ['damaged', String(corrupt.length)],
    ['groups of identical files', String(duplicated.length)],
    ['very long or very small', String(odd.length)],
  ];
  const example = missing.length === 0 ? '' : `<p class="note">${escape(missingSentence(media))}</p>`;
  return [
    example,
    table(['', ''], counts),
    list(
      'Damaged',
      ['record', 'code', 'problem'],
      corrupt.map(({ id, code, message }) => [id, code, message]),
    ),
    list(
      'Identical files with several names',
      ['records'],
      duplicated.map((ids) => [someOf(ids)]),
    ),
    list(
      'Very long or very small',
      ['record', 'width', 'height'],
      odd.map(({ id, width, height }) => [id, String(width), String(height)]),
    ),
    list(
      'Sizes',
      ['pixels (width × height)', 'files'],
      sizes.map(({ size, count }) => [size, String(count)]),
    ),
  ].join('\n');
}

/** The number of missing files with one example, for pages and terminals; empty if no file is missing. */
export function missingSentence({ missing, checked }: MediaReport): string {
  const [first] = missing;
  if (first === undefined) return '';
  const count =
    missing.length === checked
      ? `All ${checked} media files are missing`
      : `${missing.length} of ${checked} media files are missing`;
  return `${count}, for example that of ${first.id}: ${first.message}`;
}

function someOf(ids: readonly string[]): string {
  const rest = ids.length - SHARED_IDS;
  return `${ids.slice(0, SHARED_IDS).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function list(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const more = rows.length > LISTED ? `<p class="soft">… and ${rows.length - LISTED} more, in the JSON.</p>` : '';
  return `${heading(3, `${title} (${rows.length})`)}${table(head, rows.slice(0, LISTED))}${more}`;
}

function cell(value: number | null): string {
  return value === null ? '–' : String(value);
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}

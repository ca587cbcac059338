import { basename, dirname, isAbsolute, resolve } from 'node:path';
import type { DatasetRecord } from '../../../bridge/protocol/record.js';
import { writeWhole } from '../../base/files/whole-file.js';
import { provenance } from '../../base/provenance.js';
import { scanRecords } from '../../datasets/records.js';
import { recordStatistics, type KnownSplit } from '../../datasets/report.js';
import { QalignError } from '../../base/errors.js';
import { datasetPage, type DatasetReport, type MediaReport } from '../../report/dataset-page.js';
import { LEVELS } from '../../scoring/levels.js';
import type { DatasetManifest } from './convert.js';
import { levelExamples, type ExampleRecord } from './level-examples.js';
import { manifestBeside } from './manifest.js';
import { mosScale } from './mos-scale.js';
import { surveyMedia, type Surveyed, type SurveyOptions } from './survey-media.js';

/** The records of a report and their media. */
export interface ReportOptions extends SurveyOptions {
  /** JSONL files of records of one data set; the dataset.json beside them is also read. */
  readonly records: readonly string[];
  /**
   * Check every picture or clip. `true` resolves media paths in the folder of each record file, a string in that
   * folder.
   * @default no check
   */
  readonly media?: string | true | undefined;
  /**
   * Command line that is printed on the page.
   * @default none
   */
  readonly command?: string | undefined;
  /**
   * Name of the JSON file beside the page, for a link.
   * @default none
   */
  readonly data?: string | undefined;
}

/** The statistics of the records, as data and as an HTML page. */
export interface ReportResult {
  /** Figures of the dataset, as the JSON beside the page. */
  readonly report: DatasetReport;
  /** The page as self-contained HTML. */
  readonly html: string;
}

/**
 * Reports statistics of records: histograms, precision of the levels, items on edges, spread and licence. With `media`
 * it also lists missing, damaged and duplicate files and unusual shapes.
 * @throws QalignError DATASET_*, USAGE
 * @example
 * ```ts
 * const result = await reportDataset({ records: ['data/own/train.jsonl'], media: true });
 * await writeReport(result, 'own.html');
 * ```
 */
export async function reportDataset({
  records: files,
  media,
  command,
  data,
  signal,
  onProgress,
}: ReportOptions): Promise<ReportResult> {
  if (files.length === 0) throw new QalignError('USAGE', 'No records to report on; name at least one JSONL file.');
  const manifests = await Promise.all(files.map((file) => manifestBeside(file)));
  const manifest = manifests.find((found) => found !== undefined);
  const levels = manifest?.level_names ?? [...LEVELS];
  const statistics = recordStatistics(levels);
  const paths: RecordMedia[] = [];
  const byLevel: Record<string, ExampleRecord[]> = {};
  const datasets = new Map<string, DatasetRecord>();
  const present = new Set<string>();
  for (const file of files) {
    for await (const batch of scanRecords(file)) {
      signal?.throwIfAborted();
      for (const record of batch) {
        statistics.add(record);
        datasets.set(record.dataset, record);
        present.add(record.split);
        const { id, mos, mos_std } = record;
        const path = resolve(typeof media === 'string' ? media : dirname(file), record.media);
        if (media !== undefined) paths.push({ id, path, media: record.media });
        if (record.level !== undefined) (byLevel[record.level] ??= []).push({ id, path, mos, mos_std });
      }
    }
  }
  const [first] = datasets.values();
  if (first === undefined)
    throw new QalignError(
      'DATASET_EMPTY',
      `${files.map((file) => basename(file)).join(', ')}: the files have no records; name files with at least one record.`,
    );
  const mixed = datasets.size > 1;
  const { splits, softLabels, n, ...drawn } = statistics.finish(mixed ? {} : knownSplits(manifest, [...present]));
  const surveyed =
    media === undefined
      ? undefined
      : await surveyMedia(
          paths.map(({ path }) => path),
          { signal, onProgress },
        );
  const report: DatasetReport = {
    title: mixed ? `Mixture of ${[...datasets.keys()].join(', ')}` : (manifest?.title ?? first.dataset),
    dataset: [...datasets.keys()].join(', '),
    kind: first.kind,
    task: first.task,
    licence: mixed ? null : (manifest?.licence ?? null),
    source: mixed ? null : (manifest?.source ?? null),
    files: mixed ? [] : (manifest?.files ?? []),
    level_names: levels,
    soft_labels: softLabels,
    n,
    splits,
    media: surveyed === undefined ? null : mediaReport(paths, surveyed),
    notes: notesOf(manifest, mixed),
  };
  const scores = Float64Array.from(Object.values(drawn.mos).flatMap((values) => [...values]));
  const drawings = {
    ...drawn,
    scale: mixed ? undefined : await mosScale(first.dataset, scores, report.source),
    examples: await levelExamples(byLevel, signal),
  };
  const html = datasetPage(report, drawings, {
    origin: { ...(await provenance()), command, links: data === undefined ? [] : [data] },
    roots: [...(typeof media === 'string' ? [media] : []), ...files.map((file) => dirname(file))],
  });
  return { report, html };
}

/** Path of the JSON file beside a page. */
export const jsonBeside = (path: string): string => path.replace(/\.html?$/i, '.json');

/**
 * Writes the page and the JSON beside it: `x.html` and `x.json`. Returns their paths.
 * @example
 * ```ts
 * const result = await reportDataset({ records: ['data/own/train.jsonl'] });
 * console.log(await writeReport(result, 'own.html')); // own.html and own.json
 * ```
 */
export async function writeReport({ report, html }: ReportResult, path: string): Promise<string[]> {
  const json = jsonBeside(path);
  await writeWhole(json, `${JSON.stringify(report, null, 2)}\n`);
  await writeWhole(path, html);
  return [path, json];
}

interface RecordMedia {
  readonly id: string;
  /** Absolute. */
  readonly path: string;
  /** As the record names it. */
  readonly media: string;
}

/**
 * Splits that were created later are beside the dataset.json of the whole data set. Its range applies to them, but its
 * counts do not.
 */
function knownSplits(manifest: DatasetManifest | undefined, present: readonly string[]): Record<string, KnownSplit> {
  const splits: Readonly<Record<string, KnownSplit>> = manifest?.splits ?? {};
  const whole = Object.keys(splits).length === 1 ? splits['all'] : undefined;
  return Object.fromEntries(
    present.flatMap((split) => {
      const known =
        splits[split] ??
        (whole === undefined ? undefined : { ...whole, n_all: null, dropped_outside: null, dropped_media: null });
      return known === undefined ? [] : [[split, known]];
    }),
  );
}

function notesOf(manifest: DatasetManifest | undefined, mixed: boolean): string[] {
  if (mixed)
    return ['These are records of several data sets with different scales, so ranges and edges are not reported.'];
  return manifest === undefined
    ? [
        'There is no dataset.json beside the records, so the range of the levels, the omitted rows and the licence are unknown.',
      ]
    : [];
}

function mediaReport(paths: readonly RecordMedia[], surveyed: readonly Surveyed[]): MediaReport {
  const report: MediaReport = {
    checked: new Set(paths.map(({ path }) => path)).size,
    missing: [],
    corrupt: [],
    duplicated: [],
    odd_shape: [],
    sizes: [],
  };
  const byHash = new Map<string, string[]>();
  const sizes = new Map<string, number>();
  surveyed.forEach((found, index) => {
    const { id, path, media } = paths[index]!;
    if ('code' in found) {
      // absolute paths of this machine do not help readers of the report
      const message = found.message.replaceAll(
        path,
        isAbsolute(media) || media.startsWith('..') ? basename(media) : media,
      );
      if (found.code === 'MEDIA_NOT_FOUND') report.missing.push({ id, message });
      else report.corrupt.push({ id, code: found.code, message });
      return;
    }
    const { sha256, width, height } = found.fingerprint;
    byHash.set(sha256, [...(byHash.get(sha256) ?? []), id]);
    const size = `${width} × ${height}`;
    sizes.set(size, (sizes.get(size) ?? 0) + 1);
    if (Math.max(width, height) > 3 * Math.min(width, height) || Math.min(width, height) < 64)
      report.odd_shape.push({ id, width, height });
  });
  report.duplicated = [...byHash.values()].filter((ids) => ids.length > 1);
  report.sizes = [...sizes].map(([size, count]) => ({ size, count })).sort((a, b) => b.count - a.count);
  return report;
}

import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { wholeLines } from '../../base/files/lines.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { makeWhole } from '../../base/files/whole-file.js';
import { csvHeader, csvLine, type CsvOptions } from '../../recipes/score/result-csv.js';
import { FULL_LAYOUT, type ResultLayout } from '../../recipes/score/layout/layout.js';
import { openParquetFile } from '../../recipes/score/result-parquet.js';
import { stateOf, type ScoreOutcome } from '../../api/result.js';

/** Results of a job as append-only JSON lines, grouped by item, in the order of the list. */
export interface JobResults<T = ScoreOutcome> {
  /** Counts of complete items in the file, of failed items and of items with warnings, and the end of the last item. */
  readonly items: number;
  readonly failed: number;
  readonly warned: number;
  readonly bytes: number;
  /**
   * Writes all lines of an item or none. @throws QalignError OUTPUT_UNWRITABLE (a full disk); it can be called again
   */
  append(outcomes: readonly T[]): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Counts the lines of one item as failed or warned. */
type StateOf<T> = (lines: readonly T[]) => { readonly failed: boolean; readonly warned: boolean };

/** Opens the results of a job over items. */
export const openResults = (path: string, tasks: number): Promise<JobResults> => openLines(path, tasks, stateOf);

/**
 * Opens the file and truncates an item that a killed writer left incomplete. The file itself records the progress.
 * @param lines number of lines of an item
 */
export async function openLines<T>(path: string, lines: number, stateOf: StateOf<T>): Promise<JobResults<T>> {
  const found = await recover(path, lines, stateOf);
  const file = await guard(() => open(path, existsSync(path) ? 'r+' : 'w+'));
  let { items, failed, warned, bytes } = found;
  const cut = async (): Promise<void> => {
    // A device (the full disk of a test) has no length to truncate.
    if ((await file.stat()).isFile()) await file.truncate(bytes);
  };
  await guard(cut);
  return {
    get items() {
      return items;
    },
    get failed() {
      return failed;
    },
    get warned() {
      return warned;
    },
    get bytes() {
      return bytes;
    },
    async append(outcomes) {
      const data = Buffer.from(outcomes.map((outcome) => `${JSON.stringify(outcome)}\n`).join(''));
      await guard(async () => {
        try {
          for (let at = 0; at < data.length;)
            at += (await file.write(data, at, data.length - at, bytes + at)).bytesWritten;
        } catch (error) {
          await cut().catch(() => {});
          throw error;
        }
      });
      bytes += data.length;
      items += 1;
      const state = stateOf(outcomes);
      if (state.failed) failed += 1;
      if (state.warned) warned += 1;
    },
    sync: () => guard(() => file.datasync()),
    close: () => file.close(),
  };
}

async function recover<T>(
  path: string,
  lines: number,
  stateOf: StateOf<T>,
): Promise<Readonly<Record<'items' | 'failed' | 'warned' | 'bytes', number>>> {
  const found = { items: 0, failed: 0, warned: 0, bytes: 0 };
  if (!existsSync(path)) return found;
  let ofItem: T[] = [];
  for await (const { text, end } of wholeLines(createReadStream(path))) {
    ofItem.push(JSON.parse(text) as T);
    if (ofItem.length < lines) continue;
    const { failed, warned } = stateOf(ofItem);
    found.items += 1;
    found.failed += failed ? 1 : 0;
    found.warned += warned ? 1 : 0;
    found.bytes = end;
    ofItem = [];
  }
  return found;
}

/** The first `bytes` of the results as CSV with a header. */
export async function* csvLines(
  path: string,
  bytes: number,
  { layout = FULL_LAYOUT, ...options }: CsvOptions & { readonly layout?: ResultLayout },
): AsyncGenerator<string, void, undefined> {
  yield `${csvHeader(layout)}\n`;
  for await (const outcome of outcomesIn(path, bytes)) yield `${csvLine(outcome, options, layout)}\n`;
}

/** The results of an ended job as a file in another format, made on first use so that ranges work. */
export async function resultsFile(
  path: string,
  bytes: number,
  format: FileFormat,
  layout: ResultLayout = FULL_LAYOUT,
): Promise<string> {
  const file = `${path}${ENDINGS[format]}`;
  if (!existsSync(file)) await guard(() => makeWhole(file, (draft) => writeAs(format, path, bytes, draft, layout)));
  return file;
}

export type FileFormat = 'csv' | 'csv-safe' | 'parquet';
const ENDINGS: Readonly<Record<FileFormat, string>> = { csv: '.csv', 'csv-safe': '.safe.csv', parquet: '.parquet' };

async function writeAs(
  format: FileFormat,
  path: string,
  bytes: number,
  draft: string,
  layout: ResultLayout,
): Promise<void> {
  if (format !== 'parquet')
    return pipeline(
      csvLines(path, bytes, { spreadsheet: format === 'csv-safe', layout }),
      createWriteStream(draft, { flush: true }),
    );
  const file = await openParquetFile(draft, { layout });
  try {
    for await (const outcome of outcomesIn(path, bytes)) await file.write([outcome]);
    await file.close();
  } finally {
    await file.discard();
  }
}

async function* outcomesIn(path: string, bytes: number): AsyncGenerator<ScoreOutcome, void, undefined> {
  if (bytes === 0) return;
  for await (const { text } of wholeLines(createReadStream(path, { end: bytes - 1 })))
    yield JSON.parse(text) as ScoreOutcome;
}

const guard = <T>(work: () => Promise<T>): Promise<T> =>
  guardWrite(
    work,
    ({ code, message }) => `The results cannot be written (${code ?? message}); the job continues when there is room.`,
  );

import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { wholeLines } from '../../base/files/lines.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { makeWhole } from '../../base/files/whole-file.js';
import { CSV_HEADER, csvLine, type CsvOptions } from '../../recipes/score/result-csv.js';
import { stateOf, type ScoreOutcome } from '../../api/result.js';

/** The results of a job: append-only JSON lines, those of an item together and in the order of the list. */
export interface JobResults {
  /** Whole items in the file, how many of them failed or have warnings, and where the last one ends. */
  readonly items: number;
  readonly failed: number;
  readonly warned: number;
  readonly bytes: number;
  /** All lines of an item or none. @throws QalignError OUTPUT_UNWRITABLE (a full disk); it may be called again */
  append(outcomes: readonly ScoreOutcome[]): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the file and cuts off what a killed writer left of its last item: the file itself says what is done. */
export async function openResults(path: string, tasks: number): Promise<JobResults> {
  const found = await recover(path, tasks);
  const file = await guard(() => open(path, existsSync(path) ? 'r+' : 'w+'));
  let { items, failed, warned, bytes } = found;
  const cut = async (): Promise<void> => {
    // a device (a test's full disk) has no length to cut
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

async function recover(
  path: string,
  tasks: number,
): Promise<Readonly<Record<'items' | 'failed' | 'warned' | 'bytes', number>>> {
  const found = { items: 0, failed: 0, warned: 0, bytes: 0 };
  if (!existsSync(path)) return found;
  let ofItem: ScoreOutcome[] = [];
  for await (const { text, end } of wholeLines(createReadStream(path))) {
    ofItem.push(JSON.parse(text) as ScoreOutcome);
    if (ofItem.length < tasks) continue;
    const { failed, warned } = stateOf(ofItem);
    found.items += 1;
    found.failed += failed ? 1 : 0;
    found.warned += warned ? 1 : 0;
    found.bytes = end;
    ofItem = [];
  }
  return found;
}

/** The first `bytes` of the results as CSV, with a header. */
export async function* csvLines(
  path: string,
  bytes: number,
  options: CsvOptions,
): AsyncGenerator<string, void, undefined> {
  yield `${CSV_HEADER}\n`;
  if (bytes === 0) return;
  for await (const { text } of wholeLines(createReadStream(path, { end: bytes - 1 })))
    yield `${csvLine(JSON.parse(text) as ScoreOutcome, options)}\n`;
}

/** The CSV of a finished job as a file, made at first need, so that ranges of it can be asked for. */
export async function csvFile(path: string, bytes: number, options: CsvOptions): Promise<string> {
  const csv = `${path}${options.spreadsheet === true ? '.safe' : ''}.csv`;
  if (existsSync(csv)) return csv;
  const write = (draft: string): Promise<void> =>
    pipeline(csvLines(path, bytes, options), createWriteStream(draft, { flush: true }));
  await guard(() => makeWhole(csv, write));
  return csv;
}

const guard = <T>(work: () => Promise<T>): Promise<T> =>
  guardWrite(
    work,
    ({ code, message }) => `The results cannot be written (${code ?? message}); the job goes on when there is room.`,
  );

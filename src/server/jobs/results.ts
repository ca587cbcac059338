import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { QalignError } from '../../base/errors.js';
import { CSV_HEADER, csvLine } from '../../recipes/score/result-csv.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';

/** The results of a job: append-only JSON lines, those of an item together and in the order of the list. */
export interface JobResults {
  /** Whole items in the file, how many of them failed, and where the last one ends. */
  readonly items: number;
  readonly failed: number;
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
  let { items, failed, bytes } = found;
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
      if (outcomes.some(isFailure)) failed += 1;
    },
    sync: () => guard(() => file.datasync()),
    close: () => file.close(),
  };
}

async function recover(path: string, tasks: number): Promise<{ items: number; failed: number; bytes: number }> {
  let [items, failed, bytes, lines, bad] = [0, 0, 0, 0, false];
  for await (const { text, end } of wholeLines(path)) {
    lines += 1;
    bad ||= isFailure(JSON.parse(text) as ScoreOutcome);
    if (lines % tasks !== 0) continue;
    [items, failed, bytes, bad] = [items + 1, failed + (bad ? 1 : 0), end, false];
  }
  return { items, failed, bytes };
}

async function* wholeLines(path: string): AsyncGenerator<{ text: string; end: number }, void, undefined> {
  if (!existsSync(path)) return;
  let rest: Buffer = Buffer.alloc(0);
  let place = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, start)) {
      place += end + 1 - start;
      yield { text: rest.toString('utf8', start, end), end: place };
      start = end + 1;
    }
    rest = rest.subarray(start);
  }
}

/** The first `bytes` of the results as CSV, with a header. */
export async function* csvLines(path: string, bytes: number): AsyncGenerator<string, void, undefined> {
  yield `${CSV_HEADER}\n`;
  if (bytes === 0) return;
  for await (const line of createInterface({ input: createReadStream(path, { end: bytes - 1 }), crlfDelay: Infinity }))
    yield `${csvLine(JSON.parse(line) as ScoreOutcome)}\n`;
}

/** The CSV of a finished job as a file, made at first need, so that ranges of it can be asked for. */
export async function csvFile(path: string, bytes: number): Promise<string> {
  const csv = `${path}.csv`;
  if (existsSync(csv)) return csv;
  const draft = `${csv}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  await guard(() => pipeline(csvLines(path, bytes), createWriteStream(draft, { flush: true })));
  await rename(draft, csv);
  return csv;
}

async function guard<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new QalignError(
      'OUTPUT_UNWRITABLE',
      `The results cannot be written (${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}); the job goes on when there is room.`,
      { cause },
    );
  }
}

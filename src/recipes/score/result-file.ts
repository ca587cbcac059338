import { open, stat, truncate, type FileHandle } from 'node:fs/promises';
import { QalignError } from '../../base/errors.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { openWhole } from '../../base/files/whole-file.js';
import type { Task } from '../../prompts/subject.js';
import { csvLine, CSV_HEADER } from './result-csv.js';
import { scanResults } from './result-scan.js';
import type { ScoreOutcome } from '../../api/result.js';

/** How long written lines may lie in the kernel's cache before the disk has them: what a power cut can cost. */
const SYNC_EVERY_MS = 1_000;

/** Where outcomes go, one line each, whole lines only. */
export interface ResultFile {
  /**
   * Of these tasks of an input, the ones that the file does not hold yet. Counts down: the same input named twice is
   * owed two lines.
   */
  missing(input: string, tasks: readonly Task[]): Task[];
  /** Lines found at the start, and how many of them are scores under `failBelow`. */
  readonly kept: number;
  readonly keptLow: number;
  write(outcomes: readonly ScoreOutcome[]): Promise<void>;
  close(): Promise<void>;
}

export interface ResultFileOptions {
  readonly format: 'jsonl' | 'csv';
  /** Continue a file that is there; without it an existing file is refused rather than lost. */
  readonly resume: boolean;
  readonly scoreVersion: string;
  readonly failBelow?: number | undefined;
}

/**
 * Opens `path` for appending. When resuming, a torn last line is cut off and failures are taken out so that they are
 * tried again; scores stay as they are and are never computed twice.
 *
 * @throws QalignError RESUME_MISMATCH (another score_version, or not a results file), OUTPUT_UNWRITABLE
 */
export async function openResultFile(path: string, options: ResultFileOptions): Promise<ResultFile> {
  if (!options.resume) await requireFresh(path);
  const { done, low } =
    options.resume && (await sizeOf(path)) > 0
      ? await readDone(path, options)
      : { done: new Map<string, number>(), low: 0 };
  const kept = [...done.values()].reduce((sum, count) => sum + count, 0);
  const file = await guard(path, () => open(path, 'a'));
  if (options.format === 'csv' && (await file.stat()).size === 0) await append(path, file, `${CSV_HEADER}\n`);
  let lastSync = Date.now();
  return {
    kept,
    keptLow: low,
    missing(input, tasks) {
      return tasks.filter((task) => {
        const key = keyOf(input, task);
        const count = done.get(key) ?? 0;
        if (count === 1) done.delete(key);
        else if (count > 1) done.set(key, count - 1);
        return count === 0;
      });
    },
    async write(outcomes) {
      if (outcomes.length === 0) return;
      const text = outcomes
        .map((outcome) => (options.format === 'csv' ? csvLine(outcome) : JSON.stringify(outcome)))
        .join('\n');
      await append(path, file, `${text}\n`);
      if (Date.now() - lastSync < SYNC_EVERY_MS) return;
      await guard(path, () => file.datasync());
      lastSync = Date.now();
    },
    async close() {
      await guard(path, () => file.datasync());
      await file.close();
    },
  };
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    (found) => found.size,
    () => 0,
  );

/**
 * Before anything is computed, so that nobody waits for a model to hear it. @throws QalignError OUTPUT_UNWRITABLE for a
 * file that holds something
 */
export async function requireFresh(path: string): Promise<void> {
  if ((await sizeOf(path)) > 0)
    throw new QalignError('OUTPUT_UNWRITABLE', `${path} exists; add --resume to continue it, or name another --out.`);
}

/** A line as a whole, or an error: a short write (full disk) leaves a torn line, which the next resume cuts off. */
async function append(path: string, file: FileHandle, text: string): Promise<void> {
  await guard(path, () => file.writeFile(text));
}

async function readDone(path: string, options: ResultFileOptions): Promise<{ done: Map<string, number>; low: number }> {
  const done = new Map<string, number>();
  let low = 0;
  let end = 0;
  let failures = 0;
  for await (const scanned of scanResults(path, options.format)) {
    end = scanned.end;
    if (scanned.line === undefined) continue;
    const { input, task, failed, scoreVersion, score } = scanned.line;
    if (failed) {
      failures += 1;
      continue;
    }
    if (scoreVersion !== options.scoreVersion) {
      throw new QalignError(
        'RESUME_MISMATCH',
        `${path} was written with score_version ${scoreVersion}, but this run has ${options.scoreVersion} (another model, precision, prompt, scale or preprocessing); name another --out or use the old settings.`,
      );
    }
    done.set(keyOf(input, task), (done.get(keyOf(input, task)) ?? 0) + 1);
    if (options.failBelow !== undefined && score < options.failBelow) low += 1;
  }
  await guard(path, () => (failures > 0 ? withoutFailures(path, options.format) : truncate(path, end)));
  return { done, low };
}

/** Failures are rare: only when there are some is the file copied, and put in place whole. */
async function withoutFailures(path: string, format: 'jsonl' | 'csv'): Promise<void> {
  const file = await openWhole(path, { sentence: sentenceOf(path) });
  try {
    for await (const { text, line } of scanResults(path, format)) {
      if (line?.failed !== true) await file.write(`${text}\n`);
    }
    await file.commit();
  } finally {
    await file.discard();
  }
}

/** A JSON array that appears whole, at `close`, or not at all. */
export async function openJsonFile(
  path: string,
): Promise<Pick<ResultFile, 'write' | 'close'> & { discard(): Promise<void> }> {
  const file = await openWhole(path, { makeFolder: false, sentence: sentenceOf(path) });
  let count = 0;
  return {
    async write(outcomes) {
      for (const outcome of outcomes) {
        await file.write(`${count === 0 ? '[\n' : ',\n'}${JSON.stringify(outcome)}`);
        count += 1;
      }
    },
    async close() {
      try {
        await file.write(count === 0 ? '[]\n' : '\n]\n');
        await file.commit();
      } finally {
        await file.discard();
      }
    },
    discard: () => file.discard(),
  };
}

function keyOf(input: string, task: string): string {
  return `${task}\n${input}`;
}

const sentenceOf =
  (path: string) =>
  ({ message }: Error): string =>
    `${path} cannot be written (${message}); what was written before stays, and --resume continues it.`;

const guard = <T>(path: string, work: () => Promise<T>): Promise<T> => guardWrite(work, sentenceOf(path));

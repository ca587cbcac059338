import { open, stat, truncate, type FileHandle } from 'node:fs/promises';
import { QalignError } from '../../base/errors.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { openWhole } from '../../base/files/whole-file.js';
import type { Task } from '../../prompts/subject.js';
import { exactName, type MediaIdentity } from '../../media/media-input.js';
import { csvLine, CSV_HEADER, type CsvOptions } from './result-csv.js';
import { keyOf, scanResults, type WrittenLine } from './result-scan.js';
import type { ScoreSource } from './scorer.js';
import type { ScoreOutcome } from '../../api/result.js';

/** How long written lines may lie in the kernel's cache before the disk has them: what a power cut can cost. */
const SYNC_EVERY_MS = 1_000;

/** Where outcomes go, one line each, whole lines only. */
export interface ResultFile {
  /** Of these tasks of an input, those that the file does not hold yet, and those of another content under its name. */
  missing(source: ScoreSource, tasks: readonly Task[]): Task[];
  /** Scores found at the start, and how many of them are under `failBelow`. */
  readonly kept: number;
  readonly keptLow: number;
  /** Inputs so far whose file is another one than the file scored earlier. */
  readonly changed: number;
  write(outcomes: readonly ScoreOutcome[]): Promise<void>;
  /** Takes out the rows of changed inputs that were scored again. */
  close(): Promise<void>;
}

export interface ResultFileOptions {
  readonly format: 'jsonl' | 'csv';
  /** Continue a file that is there; without it an existing file is refused rather than lost. */
  readonly resume: boolean;
  readonly scoreVersion: string;
  readonly failBelow?: number | undefined;
  /** Scores with warnings are tried again, as failures are. */
  readonly strict?: boolean | undefined;
  readonly csv?: CsvOptions | undefined;
}

/**
 * Opens `path` for appending. When resuming, a torn last line is cut off and failures are taken out so that they are
 * tried again; scores of unchanged files stay as they are and are never computed twice.
 *
 * @throws QalignError RESUME_MISMATCH (another score_version, or not a results file), OUTPUT_UNWRITABLE
 */
export async function openResultFile(path: string, options: ResultFileOptions): Promise<ResultFile> {
  if (!options.resume) await requireFresh(path);
  const done = options.resume && (await sizeOf(path)) > 0 ? await readDone(path, options) : new Map<string, Done>();
  const kept = done.size;
  const file = await guard(path, () => open(path, 'a'));
  const { size } = await file.stat();
  if (options.format === 'csv' && size === 0) await append(path, file, `${CSV_HEADER}\n`);
  let lastSync = Date.now();
  let changed = 0;
  const stale = new Set<string>();
  const replaced = new Set<string>();
  return {
    kept,
    keptLow: [...done.values()].filter(({ low }) => low).length,
    get changed() {
      return changed;
    },
    missing(source, tasks) {
      const owed = tasks.filter((task) => {
        const found = done.get(keyOfSource(source, task));
        return found === undefined || isChanged(found.identity, source.identity);
      });
      const again = owed.map((task) => keyOfSource(source, task)).filter((key) => done.has(key));
      for (const key of again) stale.add(key);
      if (again.length > 0) changed += 1;
      return owed;
    },
    async write(outcomes) {
      if (outcomes.length === 0) return;
      for (const { task, input, input_base64: base64 } of outcomes) {
        const key = keyOf(task, input, base64);
        if (stale.has(key)) replaced.add(key);
      }
      const text = outcomes
        .map((outcome) => (options.format === 'csv' ? csvLine(outcome, options.csv) : JSON.stringify(outcome)))
        .join('\n');
      await append(path, file, `${text}\n`);
      if (Date.now() - lastSync < SYNC_EVERY_MS) return;
      await guard(path, () => file.datasync());
      lastSync = Date.now();
    },
    async close() {
      await guard(path, () => file.datasync());
      await file.close();
      if (replaced.size > 0)
        await rewrite(path, options.format, ({ start, line }) => start >= size || !replaced.has(line.key));
    },
  };
}

export function keyOfSource({ input, media }: ScoreSource, task: Task): string {
  return keyOf(task, input, exactName(media));
}

/** By hash where this run asks for it; else by size and time, as far as both are known. */
export function isChanged(written: Partial<MediaIdentity>, found: MediaIdentity | undefined): boolean {
  if (found === undefined) return false;
  if (found.sha256 !== undefined) return written.sha256 !== found.sha256;
  const differs = <T>(a: T | undefined, b: T | undefined): boolean => a !== undefined && b !== undefined && a !== b;
  return differs(written.bytes, found.bytes) || differs(written.modified, found.modified);
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

/** A score that the file holds. */
interface Done {
  /** Where its line begins. */
  readonly start: number;
  readonly identity: Partial<MediaIdentity>;
  readonly low: boolean;
}

/** By key. Of several rows of one key the last counts: a run that was killed may have left the row that it replaced. */
async function readDone(path: string, options: ResultFileOptions): Promise<Map<string, Done>> {
  const done = new Map<string, Done>();
  let end = 0;
  let rows = 0;
  for await (const { start, end: lineEnd, line } of scanResults(path, options.format)) {
    end = lineEnd;
    if (line === undefined) continue;
    rows += 1;
    const { key, failed, warned, scoreVersion, identity, score } = line;
    if (failed || (options.strict === true && warned)) {
      done.delete(key);
      continue;
    }
    if (scoreVersion !== options.scoreVersion) {
      throw new QalignError(
        'RESUME_MISMATCH',
        `${path} was written with score_version ${scoreVersion}, but this run has ${options.scoreVersion} (another model, precision, prompt, scale or preprocessing); name another --out or use the old settings.`,
      );
    }
    done.set(key, { start, identity, low: options.failBelow !== undefined && score < options.failBelow });
  }
  if (done.size === rows) await guard(path, () => truncate(path, end));
  else await rewrite(path, options.format, ({ start, line }) => done.get(line.key)?.start === start);
  return done;
}

/** The file with some of its rows, put in place whole. Rows are rarely taken out, so the copy is rare too. */
async function rewrite(
  path: string,
  format: 'jsonl' | 'csv',
  keeps: (row: { readonly start: number; readonly line: WrittenLine }) => boolean,
): Promise<void> {
  const file = await openWhole(path, { sentence: sentenceOf(path) });
  try {
    for await (const { start, text, line } of scanResults(path, format))
      if (line === undefined || keeps({ start, line })) await file.write(`${text}\n`);
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

const sentenceOf =
  (path: string) =>
  ({ message }: Error): string =>
    `${path} cannot be written (${message}); what was written before stays, and --resume continues it.`;

const guard = <T>(path: string, work: () => Promise<T>): Promise<T> => guardWrite(work, sentenceOf(path));

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
  /** What the file holds, where it was read already; a file of another size is read again. */
  readonly held?: Held | undefined;
}

/**
 * Opens `path` for appending. When resuming, a torn last line is cut off and failures are taken out so that they are
 * tried again; scores of unchanged files stay as they are and are never computed twice.
 *
 * @throws QalignError RESUME_MISMATCH (another score_version, or not a results file), OUTPUT_UNWRITABLE
 */
export async function openResultFile(path: string, options: ResultFileOptions): Promise<ResultFile> {
  if (!options.resume) await requireFresh(path);
  const done = options.resume ? await continued(path, options) : NOTHING;
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

/** The scores of a file, by one reading. */
export interface Held {
  /** By key. Of several rows of one key the last counts: a killed run may have left the row that it replaced. */
  readonly done: ReadonlyMap<string, Done>;
  /** Of the last score; undefined where there is none. */
  readonly scoreVersion: string | undefined;
  /** Rows, those included that do not count. */
  readonly rows: number;
  /** Where the last whole line ends. */
  readonly end: number;
  /** Of the file when it was read, in bytes. */
  readonly size: number;
}

const NOTHING: Held['done'] = new Map();

/**
 * Which scores of a file count: not failures, which are tried again, and with `strict` not those with warnings. Changes
 * nothing.
 *
 * @param accepts told of every score that counts; false ends the reading, which then gives undefined
 * @throws QalignError RESUME_MISMATCH for what is no results file, and what `accepts` throws
 */
export async function readHeld(
  path: string,
  { format, strict, failBelow = -Infinity }: Pick<ResultFileOptions, 'format' | 'strict' | 'failBelow'>,
  accepts: (row: { readonly text: string; readonly line: WrittenLine }) => boolean | Promise<boolean>,
): Promise<Held | undefined> {
  const size = await sizeOf(path);
  const done = new Map<string, Done>();
  let [scoreVersion, rows, end]: [string | undefined, number, number] = [undefined, 0, 0];
  for await (const { start, end: lineEnd, text, line } of scanResults(path, format)) {
    end = lineEnd;
    if (line === undefined) continue;
    rows += 1;
    if (line.failed || (strict === true && line.warned)) {
      done.delete(line.key);
      continue;
    }
    if (!(await accepts({ text, line }))) return undefined;
    scoreVersion = line.scoreVersion;
    done.set(line.key, { start, identity: line.identity, low: line.score < failBelow });
  }
  return { done, scoreVersion, rows, end, size };
}

/** Takes out of the file what does not count; gives the scores that stay. */
async function continued(path: string, options: ResultFileOptions): Promise<Held['done']> {
  const size = await sizeOf(path);
  if (size === 0) return NOTHING;
  const known = options.held;
  const isKnown = known?.size === size && [undefined, options.scoreVersion].includes(known.scoreVersion);
  const held = isKnown ? known : await readHeld(path, options, ({ line }) => requireVersion(path, line, options));
  const { done, rows, end } = held as Held;
  if (done.size === rows) await guard(path, () => truncate(path, end));
  else await rewrite(path, options.format, ({ start, line }) => done.get(line.key)?.start === start);
  return done;
}

function requireVersion(path: string, line: WrittenLine, { scoreVersion }: ResultFileOptions): true {
  if (line.scoreVersion === scoreVersion) return true;
  throw new QalignError(
    'RESUME_MISMATCH',
    `${path} was written with score_version ${line.scoreVersion}, but this run has ${scoreVersion} (another model, precision, prompt, scale or preprocessing); name another --out or use the old settings.`,
  );
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

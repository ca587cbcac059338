import { open, stat, truncate, type FileHandle } from 'node:fs/promises';
import { QalignError } from '../../base/errors.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { openWhole } from '../../base/files/whole-file.js';
import type { Task } from '../../prompts/subject.js';
import { exactName, type MediaIdentity } from '../../media/media-input.js';
import { compactLayout } from './layout/compact.js';
import { FULL_LAYOUT, type ResultLayout } from './layout/layout.js';
import { openSidecar } from './layout/sidecar.js';
import { csvHeader, csvLine, type CsvOptions } from './result-csv.js';
import { keyOf, scanResults, type ScanOptions, type WrittenLine } from './result-scan.js';
import type { ScoreSource } from './scorer.js';
import type { ScoreOutcome } from '../../api/result.js';
import { reasonOf } from '../../base/files/reason.js';

/** How long written lines may lie in the kernel's cache before the disk has them: what a power cut can cost. */
const SYNC_EVERY_MS = 1_000;

/** What a file holds, of one model or of all. */
export interface ResultsOfModel {
  /** Of these tasks of an input, those that the file does not hold yet, and those of another content under its name. */
  missing(source: ScoreSource, tasks: readonly Task[]): Task[];
  /** Scores found at the start, and how many of them are under `failBelow`. */
  readonly kept: number;
  readonly keptLow: number;
  /** Inputs so far whose file is another one than the file scored earlier. */
  readonly changed: number;
}

/** Where outcomes go, one line each, whole lines only. */
export interface ResultFile extends ResultsOfModel {
  /**
   * The part of one of several models. @throws QalignError RESUME_MISMATCH where its rows have another score_version
   */
  of(model: string, scoreVersion: string): ResultsOfModel;
  write(outcomes: readonly ScoreOutcome[]): Promise<void>;
  /** Takes out the rows of changed inputs that were scored again. */
  close(): Promise<void>;
}

export interface ResultFileOptions extends ScanOptions {
  /** Continue a file that is there; without it an existing file is refused rather than lost. */
  readonly resume: boolean;
  /** Undefined where several models write: each is checked by `of`. */
  readonly scoreVersion: string | undefined;
  /** The models of a run with several, by their ids. */
  readonly models?: readonly string[] | undefined;
  readonly tasks?: readonly Task[] | undefined;
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
 * @throws QalignError RESUME_MISMATCH (another score_version or layout, or not a results file), OUTPUT_UNWRITABLE
 */
export async function openResultFile(path: string, options: ResultFileOptions): Promise<ResultFile> {
  const { format, csv, layout: asked = FULL_LAYOUT, tasks = [] } = options;
  if (!options.resume) await requireFresh(path);
  const held = options.resume ? await continued(path, options) : NOTHING;
  const file = await guard(path, () => open(path, 'a'));
  const { size, isFile } = await statOf(file);
  const sync = (): Promise<void> => (isFile ? guard(path, () => file.datasync()) : Promise.resolve());
  const hasRows = held.rows > 0;
  const sidecar = asked.kind === 'compact' ? await openSidecar(path, tasks, hasRows) : undefined;
  const layout = sidecar === undefined ? asked : compactLayout(sidecar.meta.defaults);
  if (format === 'csv' && size === 0) await append(path, file, `${csvHeader(layout)}\n`);
  let lastSync = Date.now();
  const stale = new Set<string>();
  const replaced = new Set<string>();
  const severalModels = options.models !== undefined;
  const all = heldBy(held.done, undefined, stale);
  return {
    missing: (source, given) => all.missing(source, given),
    kept: all.kept,
    keptLow: all.keptLow,
    get changed() {
      return all.changed;
    },
    of(model, scoreVersion) {
      requireVersion(path, held.versions.get(model), scoreVersion);
      return severalModels ? heldBy(held.done, model, stale) : all;
    },
    async write(outcomes) {
      if (outcomes.length === 0) return;
      for (const { task, input, input_base64: base64, model } of outcomes) {
        const key = keyIn(severalModels ? model?.id : undefined, keyOf(task, input, base64));
        if (stale.has(key)) replaced.add(key);
      }
      await sidecar?.describe(outcomes);
      const text = outcomes
        .map((outcome) => (format === 'csv' ? csvLine(outcome, csv, layout) : layout.jsonOf(outcome)))
        .join('\n');
      await append(path, file, `${text}\n`);
      if (Date.now() - lastSync < SYNC_EVERY_MS) return;
      await sync();
      lastSync = Date.now();
    },
    async close() {
      await sync();
      await file.close();
      if (replaced.size > 0)
        await rewrite(path, options, ({ start, line }) => start >= size || !replaced.has(keyOfLine(line, options)));
    },
  };
}

/** A pipe or device has no size, and cannot be synced. */
async function statOf(file: FileHandle): Promise<{ readonly size: number; readonly isFile: boolean }> {
  const found = await file.stat();
  return { size: found.size, isFile: found.isFile() };
}

/** The rows of `model`, or of all where a file is of one. `stale`: keys of rows that other rows are to replace. */
function heldBy(done: Held['done'], model: string | undefined, stale: Set<string>): ResultsOfModel {
  const own = model === undefined ? [...done] : [...done].filter(([key]) => key.startsWith(keyIn(model, '')));
  let changed = 0;
  return {
    kept: own.length,
    keptLow: own.filter(([, { low }]) => low).length,
    get changed() {
      return changed;
    },
    missing(source, tasks) {
      const owed = tasks.filter((task) => owes(done, source, task, model));
      const again = owed.map((task) => keyIn(model, keyOfSource(source, task))).filter((key) => done.has(key));
      for (const key of again) stale.add(key);
      if (again.length > 0) changed += 1;
      return owed;
    },
  };
}

/** Whether a file lacks the score of an input, or has that of another content under its name. */
export function owes(done: Held['done'], source: ScoreSource, task: Task, model?: string): boolean {
  const found = done.get(keyIn(model, keyOfSource(source, task)));
  return found === undefined || isChanged(found.identity, source.identity);
}

/** Among several models a score is named by its model too. */
function keyIn(model: string | undefined, key: string): string {
  return model === undefined ? key : `${model}\0${key}`;
}

const keyOfLine = ({ key, model }: WrittenLine, { models }: Pick<ResultFileOptions, 'models'>): string =>
  keyIn(models === undefined ? undefined : model, key);

function keyOfSource({ input, media }: ScoreSource, task: Task): string {
  return keyOf(task, input, exactName(media));
}

/** By hash where this run asks for it; else by size and time, as far as both are known. */
function isChanged(written: Partial<MediaIdentity>, found: MediaIdentity | undefined): boolean {
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
  /** By model, where the rows name it. */
  readonly versions: ReadonlyMap<string, string>;
  /** Rows, those included that do not count. */
  readonly rows: number;
  /** Where the last whole line ends. */
  readonly end: number;
  /** Of the file when it was read, in bytes. */
  readonly size: number;
}

const NOTHING: Held = { done: new Map(), scoreVersion: undefined, versions: new Map(), rows: 0, end: 0, size: 0 };

type HeldOptions = Pick<
  ResultFileOptions,
  'format' | 'layout' | 'needs' | 'strict' | 'failBelow' | 'models' | 'scoreVersion'
>;

/**
 * Which scores of a file count: not failures, which are tried again, and with `strict` not those with warnings. Changes
 * nothing.
 *
 * @param accepts told of every score that counts; false ends the reading, which then gives undefined
 * @throws QalignError RESUME_MISMATCH for what is no results file or has another layout, and what `accepts` throws
 */
export async function readHeld(
  path: string,
  options: Omit<HeldOptions, 'scoreVersion'>,
  accepts: (line: WrittenLine) => boolean | Promise<boolean>,
): Promise<Held | undefined> {
  const { strict, failBelow = -Infinity, models } = options;
  const size = await sizeOf(path);
  const done = new Map<string, Done>();
  const versions = new Map<string, string>();
  let [scoreVersion, rows, end]: [string | undefined, number, number] = [undefined, 0, 0];
  for await (const { start, end: lineEnd, line } of scanResults(path, options)) {
    end = lineEnd;
    if (line === undefined) continue;
    rows += 1;
    const key = keyOfLine(line, options);
    if (line.failed || (strict === true && line.warned)) {
      done.delete(key);
      // a failure of a run with one model does not name it
      if (line.model === undefined) for (const model of models ?? []) done.delete(keyIn(model, line.key));
      continue;
    }
    if (!(await accepts(line))) return undefined;
    scoreVersion = line.scoreVersion;
    if (line.model !== undefined) versions.set(line.model, line.scoreVersion!);
    done.set(key, { start, identity: line.identity, low: line.score < failBelow });
  }
  return { done, scoreVersion, versions, rows, end, size };
}

/** Takes out of the file what does not count; gives the scores that stay. */
async function continued(path: string, options: ResultFileOptions): Promise<Held> {
  const size = await sizeOf(path);
  if (size === 0) return NOTHING;
  const known = options.held;
  const isKnown = known?.size === size && [undefined, options.scoreVersion].includes(known.scoreVersion);
  const held = isKnown ? known : await readHeld(path, options, requireVersions(path, options));
  const { done, rows, end } = held as Held;
  if (done.size === rows) await guard(path, () => truncate(path, end));
  else await rewrite(path, options, ({ start, line }) => done.get(keyOfLine(line, options))?.start === start);
  return held as Held;
}

/** Every row has the version of this run, or, among several models, one version for each of these. */
function requireVersions(path: string, { scoreVersion, models }: HeldOptions): (line: WrittenLine) => true {
  const versions = new Map<string, string>();
  return ({ model = '', scoreVersion: found }) => {
    if (models === undefined) requireVersion(path, found, scoreVersion!);
    else if (!models.includes(model))
      throw new QalignError(
        'RESUME_MISMATCH',
        `${path} holds scores of ${model || 'a model without a name'}, which this run does not ask for; add --model ${model || 'NAME'}, or name another --out.`,
      );
    else {
      requireVersion(path, found, versions.get(model) ?? found!);
      versions.set(model, found!);
    }
    return true;
  };
}

function requireVersion(path: string, found: string | undefined, wanted: string): void {
  if (found === undefined || found === wanted) return;
  throw new QalignError(
    'RESUME_MISMATCH',
    `${path} was written with score_version ${found}, but this run has ${wanted} (another model, precision, prompt, scale, preprocessing or calibration); name another --out or use the old settings.`,
  );
}

/** The file with some of its rows, put in place whole. Rows are rarely taken out, so the copy is rare too. */
async function rewrite(
  path: string,
  options: ScanOptions,
  keeps: (row: { readonly start: number; readonly line: WrittenLine }) => boolean,
): Promise<void> {
  const file = await openWhole(path, { sentence: sentenceOf(path) });
  try {
    for await (const { start, text, line } of scanResults(path, options))
      if (line === undefined || keeps({ start, line })) await file.write(`${text}\n`);
    await file.commit();
  } finally {
    await file.discard();
  }
}

/** A JSON array that appears whole, at `close`, or not at all. */
export async function openJsonFile(
  path: string,
  layout: Pick<ResultLayout, 'jsonOf'> = FULL_LAYOUT,
): Promise<Pick<ResultFile, 'write' | 'close'> & { discard(): Promise<void> }> {
  const file = await openWhole(path, { makeFolder: false, sentence: sentenceOf(path) });
  let count = 0;
  return {
    async write(outcomes) {
      for (const outcome of outcomes) {
        await file.write(`${count === 0 ? '[\n' : ',\n'}${layout.jsonOf(outcome)}`);
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
  (error: Error): string =>
    `${path} cannot be written (${reasonOf(error)}); what was written before stays, and --resume continues it.`;

const guard = <T>(path: string, work: () => Promise<T>): Promise<T> => guardWrite(work, sentenceOf(path));

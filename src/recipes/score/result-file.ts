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

/** Interval between syncs to disk: a power failure loses at most the lines of this time. */
const SYNC_EVERY_MS = 1_000;

/** The rows of a results file, of one model or of all models. */
export interface ResultsOfModel {
  /** The tasks of an input that have no score yet, or whose score belongs to an earlier content of the file. */
  missing(source: ScoreSource, tasks: readonly Task[]): Task[];
  /** Number of scores found at the start; `keptLow` of them are below `failBelow`. */
  readonly kept: number;
  readonly keptLow: number;
  /** Number of inputs so far whose file has changed since it was scored. */
  readonly changed: number;
}

/** A file of outcomes with one line per outcome. Only whole lines are written. */
export interface ResultFile extends ResultsOfModel {
  /**
   * The rows of one model of several.
   * @throws QalignError RESUME_MISMATCH if its rows have another score_version
   */
  of(model: string, scoreVersion: string): ResultsOfModel;
  write(outcomes: readonly ScoreOutcome[]): Promise<void>;
  /** Closes the file, then removes the old rows of changed inputs that were scored again. */
  close(): Promise<void>;
}

export interface ResultFileOptions extends ScanOptions {
  /** Continue an existing file. If false, an existing file is an error, so that no scores are lost. */
  readonly resume: boolean;
  /** Undefined for several models: `of` checks each of them. */
  readonly scoreVersion: string | undefined;
  /** Ids of the models of a run with several models. */
  readonly models?: readonly string[] | undefined;
  readonly tasks?: readonly Task[] | undefined;
  readonly failBelow?: number | undefined;
  /** Scores with warnings are computed again, like failures. */
  readonly strict?: boolean | undefined;
  /** Clips need a frame curve with this window. Scores of clips without it are computed again. */
  readonly curveWindow?: number | undefined;
  readonly csv?: CsvOptions | undefined;
  /** Content of the file from an earlier read. The file is read again if its size has changed. */
  readonly held?: Held | undefined;
}

/**
 * Opens `path` for appending. When resuming, an incomplete last line is cut off and failures are removed, so that they
 * are computed again. Scores of unchanged files stay and are never computed twice.
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
  const compact = sidecar && compactLayout(sidecar.meta.defaults);
  const layout: ResultLayout = compact === undefined ? asked : { ...asked, jsonOf: (one) => compact.jsonOf(one) };
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

/** The rows of `model`, or all rows for undefined. `stale` collects the keys of rows that new rows replace. */
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

/** Whether the score of an input is missing, or belongs to an earlier content of the file. */
export function owes(done: Held['done'], source: ScoreSource, task: Task, model?: string): boolean {
  const found = done.get(keyIn(model, keyOfSource(source, task)));
  return found === undefined || isChanged(found.identity, source.identity);
}

/** With several models the key of a score includes its model. */
function keyIn(model: string | undefined, key: string): string {
  return model === undefined ? key : `${model}\0${key}`;
}

const keyOfLine = ({ key, model }: WrittenLine, { models }: Pick<ResultFileOptions, 'models'>): string =>
  keyIn(models === undefined ? undefined : model, key);

function keyOfSource({ input, media }: ScoreSource, task: Task): string {
  return keyOf(task, input, exactName(media));
}

/** Compares hashes if this run computes them; otherwise size and time, where both sides have them. */
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
 * Refuses an existing output file before the model is loaded.
 * @throws QalignError OUTPUT_UNWRITABLE if the file exists and is not empty
 */
export async function requireFresh(path: string): Promise<void> {
  if ((await sizeOf(path)) > 0)
    throw new QalignError('OUTPUT_UNWRITABLE', `${path} exists; add --resume to continue it, or use another --out.`);
}

/** Appends whole lines. After a short write (full disk) the next resume cuts off the incomplete line. */
async function append(path: string, file: FileHandle, text: string): Promise<void> {
  await guard(path, () => file.writeFile(text));
}

/** A score in the file. */
interface Done {
  /** Offset of its line in bytes. */
  readonly start: number;
  readonly identity: Partial<MediaIdentity>;
  readonly low: boolean;
}

/** The scores found by one read of a file. */
export interface Held {
  /** By key. The last row of a key counts: a killed run can leave the old row before the new one. */
  readonly done: ReadonlyMap<string, Done>;
  /** score_version of the last score; undefined without scores. */
  readonly scoreVersion: string | undefined;
  /** score_version by model, for rows that name their model. */
  readonly versions: ReadonlyMap<string, string>;
  /** Number of rows, including failures and replaced rows. */
  readonly rows: number;
  /** Offset in bytes of the end of the last whole line. */
  readonly end: number;
  /** Size of the file in bytes when it was read. */
  readonly size: number;
}

const NOTHING: Held = { done: new Map(), scoreVersion: undefined, versions: new Map(), rows: 0, end: 0, size: 0 };

type HeldOptions = Pick<
  ResultFileOptions,
  'format' | 'layout' | 'needs' | 'strict' | 'curveWindow' | 'failBelow' | 'models' | 'scoreVersion'
>;

/**
 * Reads the scores of a file that are kept: no failures, and with `strict` no scores with warnings. With `curveWindow`,
 * scores of clips need such a curve. In a run with maps, scores of pictures need a map. Does not change the file.
 *
 * @param accepts called with every kept score; if it returns false, reading stops and the result is undefined
 * @throws QalignError RESUME_MISMATCH if it is not a results file or has another layout; any error of `accepts`
 */
export async function readHeld(
  path: string,
  options: Omit<HeldOptions, 'scoreVersion'>,
  accepts: (line: WrittenLine) => boolean | Promise<boolean>,
): Promise<Held | undefined> {
  const { failBelow = -Infinity, models } = options;
  const size = await sizeOf(path);
  const done = new Map<string, Done>();
  const versions = new Map<string, string>();
  let [scoreVersion, rows, end]: [string | undefined, number, number] = [undefined, 0, 0];
  for await (const { start, end: lineEnd, line } of scanResults(path, options)) {
    end = lineEnd;
    if (line === undefined) continue;
    rows += 1;
    const key = keyOfLine(line, options);
    if (isScoredAgain(line, options)) {
      done.delete(key);
      // in a run with one model, failures do not name the model
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

function isScoredAgain(
  line: WrittenLine,
  { strict, curveWindow, needs }: Pick<HeldOptions, 'strict' | 'curveWindow' | 'needs'>,
): boolean {
  if (line.failed || (strict === true && line.warned)) return true;
  if (needs?.map === true && !line.mapped) return true;
  return curveWindow !== undefined && line.fields['kind'] === 'video' && line.curveWindow !== curveWindow;
}

/** Removes the rows that do not count from the file; returns the scores that stay. */
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

/** Requires the score_version of this run in every row; with several models, one version per model. */
function requireVersions(path: string, { scoreVersion, models }: HeldOptions): (line: WrittenLine) => true {
  const versions = new Map<string, string>();
  return ({ model = '', scoreVersion: found }) => {
    if (models === undefined) requireVersion(path, found, scoreVersion!);
    else if (!models.includes(model))
      throw new QalignError(
        'RESUME_MISMATCH',
        `${path} has scores of ${model || 'a model without a name'}, which is not a model of this run; add --model ${model || 'NAME'}, or use another --out.`,
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
    `${path} was written with score_version ${found}, but this run has ${wanted}. The model, precision, prompt, scale, preprocessing or calibration differs; use the old settings or another --out.`,
  );
}

/** Rewrites the file with the rows to keep and replaces it in one step. Rows are rarely removed, so copies are rare. */
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

/** Opens a JSON array that becomes visible only when `close` completes. */
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
    `${path} cannot be written (${reasonOf(error)}); earlier rows are kept, and --resume continues the file.`;

const guard = <T>(path: string, work: () => Promise<T>): Promise<T> => guardWrite(work, sentenceOf(path));

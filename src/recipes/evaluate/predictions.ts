import * as crypto from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import Type, { type Static } from 'typebox';
import { problemWith } from '../../../bridge/validate.js';
import { QalignError } from '../../base/errors.js';
import { wholeLines } from '../../base/files/lines.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { LEVELS } from '../../scoring/levels.js';
import { PreprocessingSchema } from '../../api/result.js';
import { reasonOf } from '../../base/files/reason.js';

/**
 * A predictions file holds the predictions of one model for one record file. It is append-only JSONL. The first line is
 * the header, every other line is the prediction or failure of a record. Each line has a checksum of its text. A record
 * that failed and was predicted again has two lines, and the last line counts. The file includes the labels, so it can
 * be evaluated without the records.
 */
const FORMAT = 'qalign-predictions/2';
const SYNC_EVERY_MS = 1_000;
const closed = { additionalProperties: false };
const word = (description: string) => Type.String({ minLength: 1, description });

/** The first line of a predictions file. */
export const PredictionHeaderSchema = Type.Object(
  {
    format: Type.Literal(FORMAT, { description: 'kind and version of the file' }),
    dataset: word('name of the entry of data'),
    records_sha256: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: 'digest of the records, labels included',
    }),
    n: Type.Integer({ minimum: 0, description: 'records; a complete file holds as many predictions' }),
    model: Type.Object(
      {
        id: word('name, directory or hub id of the model'),
        revision: word('commit of the hub; local for a directory'),
        weights_sha256: word('digest of the weights'),
        precision: word('fp32, bf16, fp16, fp8, int8 or nf4'),
        untrained: Type.Boolean({ description: 'the weights are random' }),
        taught: Type.Optional(
          Type.Literal(false, { description: 'false: the model was not taught to rate (zero-shot)' }),
        ),
      },
      { ...closed, description: 'the model that predicted' },
    ),
    prompt: Type.Object(
      {
        name: word('name of the prompt'),
        text: word('the question that the model was asked'),
        stem: Type.Optional(word('of a chat model: the given beginning of the answer')),
      },
      { ...closed, description: 'the prompt' },
    ),
    preprocessing: PreprocessingSchema,
    score_version: word('hash of all that decides a score'),
  },
  closed,
);
export type PredictionHeader = Static<typeof PredictionHeaderSchema>;

/** A line of a predictions file. */
export interface Prediction {
  /** Index of the record in its file, from 0. */
  readonly index: number;
  /** Id of the record. */
  readonly id: string;
  /** Mean opinion score of the record, in units of the dataset. */
  readonly mos: number;
  /** The level of the MOS, if the record has one of the five levels. */
  readonly mos_level?: string;
  /** Reference picture of the record; intervals are resampled by it. */
  readonly group?: string;
  /** Score, 1 to 5. */
  readonly score: number;
  /** The most probable level. */
  readonly level: string;
  /** Logits of the five level words, best level first. */
  readonly logits: readonly number[];
  /** Probability of the five level words within the whole vocabulary, 0 to 1. */
  readonly level_mass: number;
  /** Warnings about the score; absent if there are none. */
  readonly warnings?: readonly string[];
}

/** A line of a predictions file for a record that could not be scored. */
export interface PredictionFailure {
  /** Place of the record in its file, from 0. */
  readonly index: number;
  /** Id of the record. */
  readonly id: string;
  /** Why it was not scored: a code of the error registry and a sentence. */
  readonly error: { readonly code: string; readonly message: string };
}

/** A predictions file by column. Row i is record i. A million rows take 100 MB. */
export interface PredictionTable {
  readonly header: PredictionHeader;
  readonly ids: string[];
  /** 0 no prediction yet, 1 predicted, 2 failed. */
  readonly state: Uint8Array;
  readonly scores: Float64Array;
  readonly mos: Float64Array;
  /** Index into LEVELS. */
  readonly level: Uint8Array;
  /** Index into LEVELS; 255 if the record has no level. */
  readonly mosLevel: Uint8Array;
  /** n × 5. */
  readonly logits: Float64Array;
  readonly groups: string[];
  readonly failures: ReadonlyMap<number, PredictionFailure>;
  /** Warnings by row number, only for predictions with warnings. */
  readonly warnings: ReadonlyMap<number, readonly string[]>;
}

export const NO_LEVEL = 255;
const PREDICTED = 1;
const FAILED = 2;

export interface PredictionWriter {
  /** Whether this record already has a prediction. */
  has(index: number): boolean;
  readonly kept: number;
  write(line: Prediction | PredictionFailure): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a predictions file for appending, or creates it. An incomplete last line of a killed writer is cut off.
 * Existing predictions are kept, and failures are tried again.
 *
 * @throws QalignError RESUME_MISMATCH if the model, prompt, preprocessing or record file differs; PREDICTIONS_DAMAGED
 * if a line fails its checksum; OUTPUT_UNWRITABLE
 */
export async function openPredictions(path: string, header: PredictionHeader): Promise<PredictionWriter> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  const { table, end } = size > 0 ? await readUpToTear(path) : { table: undefined, end: 0 };
  if (table !== undefined) requireSame(path, table.header, header);
  return guard(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    if (end < size) await truncate(path, end);
    const file = await open(path, 'a');
    if (table === undefined) await file.writeFile(sealed(header));
    let lastSync = Date.now();
    return {
      has: (index) => table?.state[index] === PREDICTED,
      kept: table?.state.reduce((sum, state) => sum + (state === PREDICTED ? 1 : 0), 0) ?? 0,
      write: (line) =>
        guard(path, async () => {
          await file.writeFile(sealed({ ...line, score_version: header.score_version }));
          if (Date.now() - lastSync < SYNC_EVERY_MS) return;
          await file.datasync();
          lastSync = Date.now();
        }),
      close: () => guard(path, () => file.datasync().finally(() => file.close())),
    };
  });
}

/**
 * Reads a predictions file. An incomplete last line is ignored.
 * @throws QalignError PREDICTIONS_DAMAGED with the line number; CONFIG_NOT_FOUND
 */
export async function readPredictions(path: string): Promise<PredictionTable> {
  const { table } = await readUpToTear(path);
  if (table === undefined)
    throw new QalignError(
      'PREDICTIONS_DAMAGED',
      `${path} is not a predictions file: it has no header line; name a file that "qalign evaluate" wrote.`,
    );
  return table;
}

async function readUpToTear(path: string): Promise<{ table: PredictionTable | undefined; end: number }> {
  let last = 0;
  let table: PredictionTable | undefined;
  for await (const { number, text, end } of wholeLines(streamOf(path))) {
    last = end;
    const line = unsealed(text);
    const problem = line === undefined ? 'fails its checksum' : table === undefined ? undefined : fill(table, line);
    if (line === undefined || problem !== undefined)
      throw new QalignError(
        'PREDICTIONS_DAMAGED',
        `Line ${number} of ${path} ${problem}; delete that line to predict its record again, or use another --out.`,
      );
    table ??= emptyTable(path, line);
  }
  return { table, end: last };
}

async function* streamOf(path: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new QalignError(
      'CONFIG_NOT_FOUND',
      `The predictions ${path} cannot be read (${reasonOf(cause)}); name a file that "qalign evaluate" wrote.`,
      { cause },
    );
  }
}

function emptyTable(path: string, { checksum: _seal, ...line }: { checksum?: unknown }): PredictionTable {
  const problem = problemWith(PredictionHeaderSchema, line);
  if (problem !== undefined)
    throw new QalignError(
      'PREDICTIONS_DAMAGED',
      `${path} is not a predictions file: its header is not valid (${problem}); name a file that "qalign evaluate" wrote.`,
    );
  const header = line as unknown as PredictionHeader;
  const { n } = header;
  return {
    header,
    ids: new Array<string>(n).fill(''),
    state: new Uint8Array(n),
    scores: new Float64Array(n),
    mos: new Float64Array(n),
    level: new Uint8Array(n),
    mosLevel: new Uint8Array(n).fill(NO_LEVEL),
    logits: new Float64Array(n * LEVELS.length),
    groups: new Array<string>(n).fill(''),
    failures: new Map(),
    warnings: new Map(),
  };
}

const LEVEL_INDEX: ReadonlyMap<string | undefined, number> = new Map(LEVELS.map((level, i) => [level, i]));

/** Stores a line in its row of the table. Returns the problem of the line, if any. */
function fill(table: PredictionTable, line: object): string | undefined {
  const row = line as Prediction & Partial<PredictionFailure> & { score_version: string };
  const { index } = row;
  if (!Number.isInteger(index) || index < 0 || index >= table.state.length)
    return `has record index ${index}, but the file has ${table.state.length} records`;
  if (row.score_version !== table.header.score_version)
    return `has score_version ${row.score_version}, but the header has ${table.header.score_version}`;
  table.ids[index] = row.id;
  const failures = table.failures as Map<number, PredictionFailure>;
  if (row.error !== undefined) {
    table.state[index] = FAILED;
    failures.set(index, { index, id: row.id, error: row.error });
    return undefined;
  }
  const level = LEVEL_INDEX.get(row.level);
  if (
    level === undefined ||
    !Number.isFinite(row.score) ||
    !Number.isFinite(row.mos) ||
    row.logits?.length !== LEVELS.length ||
    !row.logits.every(Number.isFinite)
  )
    return 'is not a valid prediction';
  if (table.state[index] === FAILED) failures.delete(index);
  if (row.warnings !== undefined) (table.warnings as Map<number, readonly string[]>).set(index, row.warnings);
  table.state[index] = PREDICTED;
  table.scores[index] = row.score;
  table.mos[index] = row.mos;
  table.level[index] = level;
  table.mosLevel[index] = LEVEL_INDEX.get(row.mos_level) ?? NO_LEVEL;
  for (let i = 0; i < LEVELS.length; i++) table.logits[index * LEVELS.length + i] = row.logits[i]!;
  table.groups[index] = row.group ?? row.id;
  return undefined;
}

/** Adds a checksum and a line end to a line. The checksum is the first 64 bits of the SHA-256 of the text before it. */
function sealed(line: object): string {
  const text = JSON.stringify(line).slice(0, -1);
  return `${text},"checksum":"${checksum(text)}"}\n`;
}

const SEAL = ',"checksum":"0123456789abcdef"}'.length;

function unsealed(text: string): object | undefined {
  const body = text.slice(0, -SEAL);
  if (text.slice(-SEAL) !== `,"checksum":"${checksum(body)}"}`) return undefined;
  try {
    return JSON.parse(text) as object;
  } catch {
    return undefined;
  }
}

// `hash` exists since Node 20.12 and takes half the time per line
const sha256: (text: string) => string =
  (crypto as Partial<typeof crypto>).hash === undefined
    ? (text) => crypto.createHash('sha256').update(text).digest('hex')
    : (text) => crypto.hash('sha256', text);

function checksum(text: string): string {
  return sha256(text).slice(0, 16);
}

function requireSame(path: string, found: PredictionHeader, wanted: PredictionHeader): void {
  if (found.score_version !== wanted.score_version)
    throw new QalignError(
      'RESUME_MISMATCH',
      `${path} was written with score_version ${found.score_version}, but this run has ${wanted.score_version}. The model, precision, prompt or preprocessing differs; use another --out.`,
    );
  if (found.records_sha256 !== wanted.records_sha256)
    throw new QalignError(
      'RESUME_MISMATCH',
      `${path} was written for other records of ${found.dataset}: it has ${found.n} records and this run ${wanted.n}, or labels differ; use another --out.`,
    );
}

const guard = <T>(path: string, work: () => Promise<T>): Promise<T> =>
  guardWrite(
    work,
    (error) =>
      `${path} cannot be written (${reasonOf(error)}); earlier predictions are kept, and the same command continues.`,
  );

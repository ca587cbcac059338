import { csvLine, CSV_HEADER, type CsvOptions } from '../../recipes/score/result-csv.js';
import { openJsonFile, openResultFile, type Held } from '../../recipes/score/result-file.js';
import { openParquetFile } from '../../recipes/score/result-parquet.js';
import type { ScoreOutcome } from '../../api/result.js';
import type { Task } from '../../prompts/subject.js';
import type { ScoreSource } from '../../recipes/score/scorer.js';
import type { Terminal } from '../terminal/terminal.js';
import { createScoreTable } from './score-table.js';

export type ScoreFormat = 'table' | 'json' | 'jsonl' | 'csv' | 'parquet';

/** Where the outcomes of `qalign score` go. */
export interface ScoreSink {
  readonly kept: number;
  readonly keptLow: number;
  /** Inputs so far that changed since an earlier run scored them. */
  readonly changed: () => number;
  missing(source: ScoreSource, tasks: readonly Task[]): Task[];
  /** The outcomes of one input. */
  write(outcomes: readonly ScoreOutcome[]): Promise<void>;
  /** `complete` is false when the run was stopped: a JSON or Parquet file then does not appear. */
  close(complete: boolean): Promise<void>;
}

export interface SinkOptions {
  readonly format: ScoreFormat;
  readonly out: string | undefined;
  readonly resume: boolean;
  readonly scoreVersion: string;
  readonly failBelow: number | undefined;
  readonly strict: boolean;
  readonly csv: CsvOptions;
  /** What `out` holds, where it was read already. */
  readonly held?: Held | undefined;
}

/** What a sink without a file to continue holds: nothing. */
const EMPTY = {
  kept: 0,
  keptLow: 0,
  changed: () => 0,
  missing: (_source: ScoreSource, tasks: readonly Task[]): Task[] => [...tasks],
};

export async function openSink(terminal: Terminal, options: SinkOptions): Promise<ScoreSink> {
  const { format, out } = options;
  if (out !== undefined && (format === 'json' || format === 'parquet')) {
    const file = format === 'json' ? await openJsonFile(out) : await openParquetFile(out);
    return {
      ...EMPTY,
      write: (outcomes) => file.write(outcomes),
      close: (complete) => (complete ? file.close() : file.discard()),
    };
  }
  if (out !== undefined && format !== 'table') {
    const file = await openResultFile(out, { ...options, format: format === 'csv' ? 'csv' : 'jsonl' });
    return {
      kept: file.kept,
      keptLow: file.keptLow,
      changed: () => file.changed,
      missing: (source, tasks) => file.missing(source, tasks),
      write: (outcomes) => file.write(outcomes),
      close: () => file.close(),
    };
  }
  if (format === 'json') return jsonToStdout(terminal);
  if (format === 'table') return linesToStdout(terminal, undefined, createScoreTable(terminal));
  if (format === 'csv')
    return linesToStdout(terminal, CSV_HEADER, (outcomes) => outcomes.map((one) => csvLine(one, options.csv)));
  return linesToStdout(terminal, undefined, (outcomes) => outcomes.map((one) => JSON.stringify(one)));
}

function linesToStdout(
  terminal: Terminal,
  heading: string | undefined,
  linesOf: (outcomes: readonly ScoreOutcome[]) => string[],
): ScoreSink {
  let begun = heading === undefined;
  return {
    ...EMPTY,
    async write(outcomes) {
      if (outcomes.length === 0) return;
      const lines = [...(begun ? [] : [heading]), ...linesOf(outcomes)];
      begun = true;
      await terminal.out(lines.map((line) => `${line}\n`).join(''));
    },
    close: async () => {},
  };
}

/** A reader of JSON wants a whole document: nothing is printed before the end. */
function jsonToStdout(terminal: Terminal): ScoreSink {
  const held: string[] = [];
  return {
    ...EMPTY,
    async write(outcomes) {
      held.push(...outcomes.map((outcome) => JSON.stringify(outcome)));
    },
    close: async (complete) => {
      if (complete) await terminal.out(held.length === 0 ? '[]\n' : `[\n${held.join(',\n')}\n]\n`);
    },
  };
}

import { QalignError } from '../../base/errors.js';
import type { ScoreOutcome } from '../../api/result.js';
import type { ResultLayout } from '../../recipes/score/layout/layout.js';
import type { ResumeNeeds } from '../../recipes/score/layout/fields.js';
import { csvHeader, csvLine, type CsvOptions } from '../../recipes/score/result-csv.js';
import { openJsonFile, openResultFile, type Held, type ResultsOfModel } from '../../recipes/score/result-file.js';
import type { Task } from '../../prompts/subject.js';
import type { ScoreSource } from '../../recipes/score/scorer.js';
import type { Terminal } from '../terminal/terminal.js';
import { createRanking, type Best } from './best.js';
import { withCurveFile, type CurveRequest } from './curve-file.js';
import { createScoreTable } from './score-table.js';

export type ScoreFormat = 'table' | 'json' | 'jsonl' | 'csv' | 'parquet';

/** Receives the outcomes of `qalign score`. */
export interface ScoreSink {
  /** A model's results of an earlier run. @throws QalignError RESUME_MISMATCH if they have another score_version */
  of(model: string, scoreVersion: string): ResultsOfModel;
  /** Writes the outcomes of one input. */
  write(outcomes: readonly ScoreOutcome[]): Promise<void>;
  /** `complete` is false if the run was stopped. A JSON or Parquet file, or a ranking, is then not written. */
  close(complete: boolean): Promise<void>;
}

export interface SinkOptions {
  readonly format: ScoreFormat;
  readonly out: string | undefined;
  readonly resume: boolean;
  readonly layout: ResultLayout;
  readonly needs: ResumeNeeds;
  readonly tasks: readonly Task[];
  /** Undefined if several models write. */
  readonly scoreVersion: string | undefined;
  /** The ids of the models, in a run with several. */
  readonly models: readonly string[] | undefined;
  readonly failBelow: number | undefined;
  readonly strict: boolean;
  readonly curve: CurveRequest | undefined;
  readonly best: Best | undefined;
  readonly csv: CsvOptions;
  /** The contents of `out`, if they were read before. */
  readonly held?: Held | undefined;
}

/** The earlier results of a sink that continues no file. */
const EMPTY: ResultsOfModel = {
  kept: 0,
  keptLow: 0,
  changed: 0,
  missing: (_source: ScoreSource, tasks: readonly Task[]): Task[] => [...tasks],
};
const of = (): ResultsOfModel => EMPTY;

export async function openSink(terminal: Terminal, options: SinkOptions): Promise<ScoreSink> {
  const { best, curve, csv } = options;
  const sink = best === undefined ? await openPlain(terminal, options) : rankingSink(terminal, options, best);
  return curve?.out === undefined ? sink : withCurveFile(sink, curve.out, csv);
}

/** Holds the best or worst scores and writes them at the end. No file exists before that. */
function rankingSink(terminal: Terminal, options: SinkOptions, best: Best): ScoreSink {
  const ranking = createRanking(best);
  return {
    of,
    write: async (outcomes) => ranking.add(outcomes),
    async close(complete) {
      if (!complete) return;
      const sink = await openPlain(terminal, options);
      try {
        for (const outcome of ranking.ranked()) await sink.write([outcome]);
      } catch (error) {
        await sink.close(false);
        throw error;
      }
      await sink.close(true);
    },
  };
}

async function openPlain(terminal: Terminal, options: SinkOptions): Promise<ScoreSink> {
  const { format, out, layout, models } = options;
  if (out !== undefined && (format === 'json' || format === 'parquet')) {
    const file =
      format === 'json'
        ? await openJsonFile(out, layout)
        : await (
            await import('../../recipes/score/result-parquet.js')
          ).openParquetFile(out, { layout, severalModels: models !== undefined });
    return {
      of,
      write: (outcomes) => file.write(outcomes),
      close: (complete) => (complete ? file.close() : file.discard()),
    };
  }
  if (out !== undefined && format !== 'table')
    return openResultFile(out, {
      ...options,
      format: format === 'csv' ? 'csv' : 'jsonl',
      curveWindow: options.curve?.window,
    });
  if (format === 'parquet') throw new QalignError('USAGE', 'qalign score: --format parquet needs --out.');
  if (format === 'json') return jsonToStdout(terminal, layout);
  if (format === 'table') return linesToStdout(terminal, undefined, createScoreTable(terminal, models));
  if (format === 'csv')
    return linesToStdout(terminal, csvHeader(layout), (outcomes) =>
      outcomes.map((one) => csvLine(one, options.csv, layout)),
    );
  return linesToStdout(terminal, undefined, (outcomes) => outcomes.map((one) => layout.jsonOf(one)));
}

function linesToStdout(
  terminal: Terminal,
  heading: string | undefined,
  linesOf: (outcomes: readonly ScoreOutcome[]) => string[],
): ScoreSink {
  let begun = heading === undefined;
  return {
    of,
    async write(outcomes) {
      if (outcomes.length === 0) return;
      const lines = [...(begun ? [] : [heading]), ...linesOf(outcomes)];
      begun = true;
      await terminal.out(lines.map((line) => `${line}\n`).join(''));
    },
    close: async () => {},
  };
}

/** Prints nothing before the end, because a reader of JSON needs the whole document. */
function jsonToStdout(terminal: Terminal, layout: ResultLayout): ScoreSink {
  const held: string[] = [];
  return {
    of,
    async write(outcomes) {
      held.push(...outcomes.map((outcome) => layout.jsonOf(outcome)));
    },
    close: async (complete) => {
      if (complete) await terminal.out(held.length === 0 ? '[]\n' : `[\n${held.join(',\n')}\n]\n`);
    },
  };
}

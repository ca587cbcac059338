import { csvLine, CSV_HEADER } from '../../recipes/score/result-csv.js';
import { openJsonFile, openResultFile } from '../../recipes/score/result-file.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';
import type { Task } from '../../prompts/subject.js';
import type { Terminal } from '../terminal/terminal.js';

export type ScoreFormat = 'table' | 'json' | 'jsonl' | 'csv';

/** Where the outcomes of `qalign score` go. */
export interface ScoreSink {
  readonly kept: number;
  readonly keptLow: number;
  missing(input: string, tasks: readonly Task[]): Task[];
  write(outcomes: readonly ScoreOutcome[]): Promise<void>;
  /** `complete` is false when the run was stopped: a JSON file then does not appear. */
  close(complete: boolean): Promise<void>;
}

export async function openSink(
  terminal: Terminal,
  options: {
    format: ScoreFormat;
    out: string | undefined;
    resume: boolean;
    scoreVersion: string;
    failBelow: number | undefined;
  },
): Promise<ScoreSink> {
  const { format, out } = options;
  if (out !== undefined && format === 'json') {
    const file = await openJsonFile(out);
    return {
      kept: 0,
      keptLow: 0,
      missing: all,
      write: (outcomes) => file.write(outcomes),
      close: (complete) => (complete ? file.close() : file.discard()),
    };
  }
  if (out !== undefined && format !== 'table') {
    const file = await openResultFile(out, {
      format: format === 'csv' ? 'csv' : 'jsonl',
      resume: options.resume,
      scoreVersion: options.scoreVersion,
      failBelow: options.failBelow,
    });
    return {
      kept: file.kept,
      keptLow: file.keptLow,
      missing: (input, tasks) => file.missing(input, tasks),
      write: (outcomes) => file.write(outcomes),
      close: () => file.close(),
    };
  }
  if (format === 'json') return jsonToStdout(terminal);
  const line =
    format === 'table'
      ? createTable()
      : format === 'csv'
        ? csvLine
        : (outcome: ScoreOutcome) => JSON.stringify(outcome);
  let begun = false;
  const heading = format === 'table' ? `${TABLE_HEADING}\n` : format === 'csv' ? `${CSV_HEADER}\n` : '';
  return {
    kept: 0,
    keptLow: 0,
    missing: all,
    async write(outcomes) {
      if (outcomes.length === 0) return;
      await terminal.out(`${begun ? '' : heading}${outcomes.map((outcome) => `${line(outcome)}\n`).join('')}`);
      begun = true;
    },
    close: async () => {},
  };
}

/** A reader of JSON wants a whole document: nothing is printed before the end. */
function jsonToStdout(terminal: Terminal): ScoreSink {
  const held: string[] = [];
  return {
    kept: 0,
    keptLow: 0,
    missing: all,
    async write(outcomes) {
      held.push(...outcomes.map((outcome) => JSON.stringify(outcome)));
    },
    close: async (complete) => {
      if (complete) await terminal.out(held.length === 0 ? '[]\n' : `[\n${held.join(',\n')}\n]\n`);
    },
  };
}

const TABLE_HEADING = '   score  level      sure  task        input';

/** `sure` is the probability of the level named. */
function createTable(): (outcome: ScoreOutcome) => string {
  return (outcome) => {
    if (isFailure(outcome))
      return `       –  ${'failed'.padEnd(9)}     –  ${outcome.task.padEnd(10)}  ${outcome.input}\n          ${outcome.error.message} [${outcome.error.code}]`;
    const digits = outcome.scale === 'percent' ? 2 : 4;
    const calibrated =
      outcome.calibrated_score === undefined ? '' : `  (calibrated: ${outcome.calibrated_score.toFixed(digits)})`;
    const sure = `${Math.round(outcome.level_probs[outcome.level] * 100)} %`;
    return `${outcome.score.toFixed(digits).padStart(8)}  ${outcome.level.padEnd(9)} ${sure.padStart(5)}  ${outcome.task.padEnd(10)}  ${outcome.input}${calibrated}`;
  };
}

function all(_input: string, tasks: readonly Task[]): Task[] {
  return [...tasks];
}

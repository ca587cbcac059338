import { extname } from 'node:path';
import { isFailure, stateOf, type ScoreOutcome } from '../../api/result.js';
import type { PassedOver } from '../../media/sources.js';
import { plain, type Paint } from '../terminal/colour.js';

const REASONS: Readonly<Record<PassedOver, string>> = {
  'not-media': 'not pictures or clips',
  hidden: 'hidden (use --hidden to score them)',
  excluded: 'left out by --include or --exclude',
  'special-file': 'pipes, sockets or devices',
  'linked-folder': 'linked folders',
  repeated: 'named more than once and scored once',
};

/** Number of extensions listed for files that are not media. */
const ENDINGS_NAMED = 5;

/** Counts the results of a run for its summary. Counts inputs, not scores: two tasks of one picture count once. */
export interface Tally {
  /** Adds the outcomes of one input; none if the resumed file has them all. */
  add(outcomes: readonly ScoreOutcome[]): { readonly failed: boolean; readonly warned: boolean };
  readonly passedOver: (passed: { readonly input: string; readonly reason: PassedOver }) => void;
  readonly emptyFolder: (folder: string) => void;
  /** Inputs so far, including those that were not scored again. */
  readonly inputs: number;
  readonly failed: number;
  /** Scores below `--fail-below`. */
  readonly low: number;
  lines(end: SummaryEnd): string[];
}

export interface SummaryEnd {
  readonly elapsedMs: number;
  readonly changed: number;
  /** Scores of earlier runs below the limit. */
  readonly keptLow: number;
  /** False if the run was stopped before its last input. */
  readonly complete: boolean;
  readonly out: string | undefined;
  /** Pictures have maps. */
  readonly map?: boolean | undefined;
  readonly paint?: Paint;
  /** In a run with several models, the one whose inputs were counted. */
  readonly model?: string | undefined;
  /** The value of `--limit`, if it ended the search. */
  readonly limit?: number | undefined;
}

export function createTally(failBelow: number | undefined): Tally {
  const count = { inputs: 0, scored: 0, failed: 0, warned: 0, kept: 0, low: 0, clips: 0 };
  const sums = new Map<string, { sum: number; n: number }>();
  const reasons = new Map<PassedOver, number>();
  const endings = new Map<string, number>();
  const empty: string[] = [];
  const passedLines = (): string[] => {
    const parts = (Object.keys(REASONS) as PassedOver[]).flatMap((reason) => {
      const n = reasons.get(reason) ?? 0;
      if (n === 0) return [];
      return [`${n} ${REASONS[reason]}${reason === 'not-media' ? namedEndings(endings) : ''}`];
    });
    const total = [...reasons.values()].reduce((sum, n) => sum + n, 0);
    return [
      ...empty.map((folder) => `${folder} contains no picture or clip`),
      ...(total === 0 ? [] : [`skipped ${total} ${total === 1 ? 'entry' : 'entries'}: ${parts.join('; ')}`]),
    ];
  };
  return {
    add(outcomes) {
      count.inputs += 1;
      if (outcomes.length === 0) count.kept += 1;
      const { failed, warned } = stateOf(outcomes);
      if (failed) count.failed += 1;
      else if (outcomes.length > 0) count.scored += 1;
      if (warned) count.warned += 1;
      if (outcomes.some((outcome) => !isFailure(outcome) && outcome.kind === 'video')) count.clips += 1;
      for (const outcome of outcomes) {
        if (isFailure(outcome)) continue;
        const { sum, n } = sums.get(outcome.task) ?? { sum: 0, n: 0 };
        sums.set(outcome.task, { sum: sum + outcome.score, n: n + 1 });
        if (failBelow !== undefined && outcome.score < failBelow) count.low += 1;
      }
      return { failed, warned };
    },
    passedOver({ input, reason }) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      if (reason !== 'not-media') return;
      const ending = extname(input).toLowerCase() || 'no extension';
      if (endings.has(ending) || endings.size < 1000) endings.set(ending, (endings.get(ending) ?? 0) + 1);
    },
    emptyFolder: (folder) => void empty.push(folder),
    get inputs() {
      return count.inputs;
    },
    get failed() {
      return count.failed;
    },
    get low() {
      return count.low;
    },
    lines: (end) => [
      ...passedLines(),
      ...(end.map === true && count.clips > 0
        ? [`${count.clips} ${count.clips === 1 ? 'clip has' : 'clips have'} no map; maps are for pictures`]
        : []),
      summaryLine({ ...count, low: count.low + end.keptLow, failBelow }, sums, end),
    ],
  };
}

interface Counts {
  readonly scored: number;
  readonly failed: number;
  readonly warned: number;
  readonly kept: number;
  readonly low: number;
  readonly failBelow: number | undefined;
}

function summaryLine(
  { scored, failed, warned, kept, low, failBelow }: Counts,
  sums: ReadonlyMap<string, { readonly sum: number; readonly n: number }>,
  { elapsedMs, changed, complete, out, model, limit, paint = plain }: SummaryEnd,
): string {
  const rate = ((scored + failed) / Math.max(elapsedMs, 1)) * 1000;
  const means = [...sums].map(([task, { sum, n }]) => `${sums.size > 1 ? `${task} ` : ''}${(sum / n).toFixed(2)}`);
  const parts = [
    `${model === undefined ? '' : `${model}: `}${complete ? '' : 'stopped early: '}${scored} scored`,
    ...(failed === 0 ? [] : [paint('red', `${failed} failed`)]),
    ...(warned === 0 ? [] : [paint('yellow', `${warned} with warnings`)]),
    ...(kept === 0 ? [] : [`${kept} scored before`]),
    ...(changed === 0 ? [] : [`${changed} changed and scored again`]),
    ...(low === 0 ? [] : [`${low} under ${failBelow}`]),
    ...(means.length === 0 ? [] : [`mean ${means.join(', ')}`]),
    ...(scored === 0 ? [] : [`${rate >= 100 ? rate.toFixed(0) : rate.toFixed(1)}/s`]),
    ...(limit === undefined ? [] : [`limited to ${limit} ${limit === 1 ? 'input' : 'inputs'}`]),
    ...(out === undefined ? [] : [out]),
  ];
  return parts.join(', ');
}

function namedEndings(endings: ReadonlyMap<string, number>): string {
  const sorted = [...endings].sort((a, b) => b[1] - a[1]);
  const named = sorted.slice(0, ENDINGS_NAMED).map(([ending, n]) => `${ending} ${n}`);
  if (named.length === 0) return '';
  return ` (${[...named, ...(sorted.length > ENDINGS_NAMED ? ['…'] : [])].join(', ')})`;
}

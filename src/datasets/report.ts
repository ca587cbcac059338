import type { DatasetRecord } from '../../bridge/protocol/record.js';
import type { SplitReport } from '../report/dataset-page.js';
import { plcc, srcc } from '../scoring/statistics/correlation.js';
import { mean } from '../scoring/statistics/descriptive.js';
import { edgeDistance, levelValue } from '../scoring/level-conversion.js';
import { GrowingDoubles } from './growing-doubles.js';

const EXAMPLES = 20;
/** Tolerance in widths of a level, because rounding can move a score off the edge. */
const ON_EDGE = 1e-9;

/** Data about a split from its conversion, which the records do not have. */
export interface KnownSplit {
  readonly n_all: number | null;
  readonly dropped_outside: number | null;
  readonly dropped_media: number | null;
  readonly range: readonly [number, number];
}

export interface RecordStatistics {
  add(record: DatasetRecord): void;
  /** Reports and plot data by split. `known` comes from dataset.json. */
  finish(known: Readonly<Record<string, KnownSplit>>): {
    splits: Record<string, SplitReport>;
    mos: Record<string, Float64Array>;
    /** Split → standard deviations of the ratings, for records that have one. */
    std: Record<string, Float64Array>;
    edges: Record<string, number[]>;
    softLabels: number;
    n: number;
  };
}

interface Tally {
  readonly mos: GrowingDoubles;
  readonly values: GrowingDoubles;
  readonly ids: string[];
  readonly levels: Record<string, number>;
  readonly std: GrowingDoubles;
}

/** @param levels level names, best first */
export function recordStatistics(levels: readonly string[]): RecordStatistics {
  const tallies = new Map<string, Tally>();
  const rank = new Map(levels.map((level, index) => [level, levelValue(index, levels.length)]));
  let softLabels = 0;
  let n = 0;
  return {
    add({ id, split, mos, level, mos_std, level_probs }) {
      let tally = tallies.get(split);
      if (tally === undefined)
        tallies.set(
          split,
          (tally = {
            mos: new GrowingDoubles(),
            values: new GrowingDoubles(),
            ids: [],
            levels: Object.fromEntries(levels.map((name) => [name, 0])),
            std: new GrowingDoubles(),
          }),
        );
      n++;
      tally.mos.push(mos);
      tally.ids.push(id);
      tally.values.push(level === undefined ? NaN : (rank.get(level) ?? NaN));
      if (level !== undefined) tally.levels[level] = (tally.levels[level] ?? 0) + 1;
      if (mos_std !== undefined) tally.std.push(mos_std);
      if (level_probs !== undefined) softLabels++;
    },
    finish(known) {
      const found = [...tallies];
      return {
        n,
        softLabels: n === 0 ? 0 : softLabels / n,
        splits: Object.fromEntries(
          found.map(([split, tally]) => [split, reportOf(tally, known[split], levels.length)]),
        ),
        mos: Object.fromEntries(found.map(([split, { mos }]) => [split, mos.view()])),
        std: Object.fromEntries(found.map(([split, { std }]) => [split, std.view()])),
        edges: Object.fromEntries(found.map(([split]) => [split, edgesOf(known[split], levels.length)])),
      };
    },
  };
}

function reportOf({ mos, values, ids, levels, std }: Tally, known: KnownSplit | undefined, count: number): SplitReport {
  const scores = mos.view();
  const ranked = !values.view().some(Number.isNaN);
  const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return {
    n: scores.length,
    n_all: known?.n_all ?? null,
    dropped_outside: known?.dropped_outside ?? null,
    dropped_media: known?.dropped_media ?? null,
    range: known === undefined ? null : [known.range[0], known.range[1]],
    levels,
    srcc: ranked ? orNull(srcc(values.view(), scores)) : null,
    plcc: ranked ? orNull(plcc(values.view(), scores)) : null,
    mos: {
      min: scores.reduce((a, b) => Math.min(a, b), Infinity),
      max: scores.reduce((a, b) => Math.max(a, b), -Infinity),
      mean: mean(scores),
    },
    std_coverage: std.length / scores.length,
    on_edge: known === undefined ? null : onEdge(scores, ids, known.range, count),
  };
}

function onEdge(
  scores: Float64Array,
  ids: readonly string[],
  [min, max]: readonly [number, number],
  count: number,
): { count: number; examples: string[] } {
  const positions = [...scores.keys()].filter((at) => edgeDistance(scores[at]!, { min, max }, count) < ON_EDGE);
  return { count: positions.length, examples: positions.slice(0, EXAMPLES).map((at) => ids[at]!) };
}

function edgesOf(known: KnownSplit | undefined, count: number): number[] {
  if (known === undefined) return [];
  const [min, max] = known.range;
  return Array.from({ length: count - 1 }, (_, i) => min + ((i + 1) * (max - min)) / count);
}

import { logisticAt } from '../../scoring/statistics/logistic.js';
import type { DatasetMeasures, Miss, Rows } from './measure.js';
import type { PredictionTable } from './predictions.js';

/** Number of items in each group of examples. */
const SHOWN = 6;

export interface Examples {
  /** Items closest to the curve, spread over the range of the MOS. */
  readonly best: readonly Miss[];
  /** Items with a median distance from the curve. */
  readonly typical: readonly Miss[];
}

/** Score after the logistic mapping minus the MOS of every row, in units of the MOS; undefined without a curve. */
export function residualsOf({ scores, mos }: Rows, { logistic }: DatasetMeasures['metrics']): Float64Array | undefined {
  return logistic === null ? undefined : Float64Array.from(scores, (score, k) => logisticAt(logistic, score) - mos[k]!);
}

/** Selects examples, lowest MOS first. No item is in more than one of `worst`, `best` and `typical`. */
export function examplesOf(
  table: PredictionTable,
  { index, scores, mos }: Rows,
  residuals: Float64Array,
  worst: readonly Miss[],
): Examples {
  const shown = new Set(worst.map((miss) => miss.index));
  const miss = (k: number): Miss => ({
    index: index[k]!,
    id: table.ids[index[k]!]!,
    mos: mos[k]!,
    score: scores[k]!,
    error: residuals[k]!,
  });
  const byError = Array.from(index.keys())
    .filter((k) => !shown.has(index[k]!))
    .sort((a, b) => Math.abs(residuals[a]!) - Math.abs(residuals[b]!));
  const rising = (chosen: readonly number[]): Miss[] => chosen.toSorted((a, b) => mos[a]! - mos[b]!).map(miss);
  const best = bestOfEachPart(byError, mos);
  const rest = byError.filter((k) => !best.includes(k));
  const middle = Math.max(0, Math.floor((rest.length - SHOWN) / 2));
  return { best: rising(best), typical: rising(rest.slice(middle, middle + SHOWN)) };
}

/** Divides the items by MOS into SHOWN parts of equal size and takes the closest item of each part. */
function bestOfEachPart(byError: readonly number[], mos: Float64Array): number[] {
  const byMos = byError.toSorted((a, b) => mos[a]! - mos[b]!);
  const part = new Map(byMos.map((k, rank) => [k, Math.floor((rank * SHOWN) / byMos.length)]));
  const found = new Map<number, number>();
  for (const k of byError) if (!found.has(part.get(k)!)) found.set(part.get(k)!, k);
  return [...found.values()];
}

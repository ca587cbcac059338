import { mean } from './statistics/descriptive.js';

/** Standardises the scores of a scorer, so that scorers are comparable: (score − mean) / std. */
export interface Standard {
  readonly mean: number;
  readonly std: number;
}

/** @throws RangeError for a constant list */
export function standardOf(scores: ArrayLike<number>): Standard {
  const middle = mean(scores);
  const std = Math.sqrt(mean(Float64Array.from(scores, (score) => (score - middle) ** 2)));
  if (!(std > 0)) throw new RangeError('a scorer that gives every item the same score cannot be combined with others');
  return { mean: middle, std };
}

/** Σ weight_j · (score_j − mean_j) / std_j, item by item. */
export function combine(
  columns: readonly ArrayLike<number>[],
  standards: readonly Standard[],
  weights: readonly number[],
): Float64Array {
  const n = columns[0]?.length ?? 0;
  if (
    columns.some((column) => column.length !== n) ||
    standards.length !== columns.length ||
    weights.length !== columns.length
  )
    throw new RangeError('an ensemble needs one score of each scorer for each item, and one weight for each scorer');
  const result = new Float64Array(n);
  columns.forEach((column, j) => {
    const { mean: middle, std } = standards[j]!;
    for (let i = 0; i < n; i++) result[i]! += (weights[j]! * (column[i]! - middle)) / std;
  });
  return result;
}

/**
 * Weights of at least 0 that sum to 1 and best fit the MOS of validation items. Solves non-negative least squares by
 * trying every subset of the few scorers.
 * @throws RangeError if no scorer rises with the MOS
 */
export function fitWeights(
  columns: readonly ArrayLike<number>[],
  standards: readonly Standard[],
  mos: ArrayLike<number>,
): number[] {
  const k = columns.length;
  const target = standardOf(mos);
  const y = Float64Array.from(mos, (value) => (value - target.mean) / target.std);
  const z = columns.map((column, j) =>
    Float64Array.from(column, (value) => (value - standards[j]!.mean) / standards[j]!.std),
  );
  const product = (a: Float64Array, b: Float64Array): number => mean(a.map((value, i) => value * b[i]!));
  const gram = z.map((a) => z.map((b) => product(a, b)));
  const right = z.map((a) => product(a, y));
  let best: { weights: number[]; gain: number } | undefined;
  for (let subset = 1; subset < 1 << k; subset++) {
    const chosen = z.map((_, j) => j).filter((j) => (subset >> j) & 1);
    const solved = solve(
      chosen.map((i) => chosen.map((j) => gram[i]![j]!)),
      chosen.map((i) => right[i]!),
    );
    if (solved === undefined || solved.some((weight) => weight < 0)) continue;
    const gain = solved.reduce((sum, weight, i) => sum + weight * right[chosen[i]!]!, 0);
    const weights = z.map((_, j) => (chosen.includes(j) ? solved[chosen.indexOf(j)]! : 0));
    if (gain > (best?.gain ?? 1e-12)) best = { weights, gain };
  }
  if (best === undefined) throw new RangeError('no scorer of the ensemble rises with the MOS of the validation items');
  const sum = best.weights.reduce((a, b) => a + b, 0);
  return best.weights.map((weight) => weight / sum);
}

/** Solves a small linear system; undefined if scorers are copies of each other. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] | undefined {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  const k = rows.length;
  for (let column = 0; column < k; column++) {
    const pivot = rows
      .slice(column)
      .reduce((top, row, i) => (Math.abs(row[column]!) > Math.abs(rows[top]![column]!) ? column + i : top), column);
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    if (Math.abs(rows[column]![column]!) < 1e-12) return undefined;
    for (const [i, row] of rows.entries()) {
      if (i === column) continue;
      const factor = row[column]! / rows[column]![column]!;
      for (let j = column; j <= k; j++) row[j]! -= factor * rows[column]![j]!;
    }
  }
  return rows.map((row, i) => row[k]! / row[i]!);
}

import { argsort } from './statistics/argsort.js';
import { mean, requirePairs } from './statistics/descriptive.js';
import { fitLogistic, logisticAt, type Logistic } from './statistics/logistic.js';

/** A non-decreasing map from scores to the MOS scale of a data set. Serialised without changes. */
export type CalibrationCurve =
  | { readonly method: 'logistic'; readonly logistic: Logistic }
  | { readonly method: 'isotonic'; readonly x: readonly number[]; readonly y: readonly number[] };

/**
 * Fits a curve on validation data.
 * @throws RangeError if there is nothing to fit, or if scores fall as the MOS rises, which no calibration can correct
 */
export function fitCalibration(
  scores: ArrayLike<number>,
  mos: ArrayLike<number>,
  method: 'logistic' | 'isotonic',
): CalibrationCurve {
  const n = requirePairs(scores, mos);
  if (n < 10) throw new RangeError(`a calibration needs at least 10 items, not ${n}`);
  if (method === 'isotonic') {
    const steps = isotonic(scores, mos);
    if (steps.y[0] === steps.y.at(-1))
      throw new RangeError('no rising step function fits: the scores are constant, or fall as the MOS rises');
    return { method, ...steps };
  }
  const fit = fitLogistic(scores, mos);
  if (fit === undefined || fit.beta1 <= fit.beta2)
    throw new RangeError('no rising logistic function fits: the scores are constant, or fall as the MOS rises');
  const { beta1, beta2, beta3, beta4 } = fit;
  return { method, logistic: { beta1, beta2, beta3, beta4 } };
}

/** The score on the MOS scale. Isotonic: linear between the fitted points, constant outside them. */
export function calibrate(curve: CalibrationCurve, score: number): number {
  if (curve.method === 'logistic') return logisticAt(curve.logistic, score);
  const { x, y } = curve;
  let [low, high] = [0, x.length - 1];
  if (score <= x[low]!) return y[low]!;
  if (score >= x[high]!) return y[high]!;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x[middle]! <= score) low = middle;
    else high = middle;
  }
  return y[low]! + ((score - x[low]!) / (x[high]! - x[low]!)) * (y[high]! - y[low]!);
}

/**
 * Isotonic regression by pooling adjacent violators. Equal scores are pooled first, as in scikit-learn. Returns both
 * ends of each constant step.
 */
export function isotonic(scores: ArrayLike<number>, mos: ArrayLike<number>): { x: number[]; y: number[] } {
  const order = argsort(scores);
  const blocks: { first: number; last: number; value: number; weight: number }[] = [];
  for (let k = 0; k < order.length;) {
    const score = scores[order[k]!]!;
    let [sum, weight] = [0, 0];
    for (; k < order.length && scores[order[k]!] === score; k++) {
      sum += mos[order[k]!]!;
      weight += 1;
    }
    blocks.push({ first: score, last: score, value: sum / weight, weight });
    while (blocks.length > 1 && blocks.at(-2)!.value >= blocks.at(-1)!.value) {
      const [b, a] = [blocks.pop()!, blocks.pop()!];
      const total = a.weight + b.weight;
      blocks.push({
        first: a.first,
        last: b.last,
        value: (a.value * a.weight + b.value * b.weight) / total,
        weight: total,
      });
    }
  }
  const ends = blocks.flatMap(({ first, last, value }) =>
    first === last ? [[first, value] as const] : [[first, value] as const, [last, value] as const],
  );
  return { x: ends.map(([x]) => x), y: ends.map(([, y]) => y) };
}

export interface ReliabilityBin {
  readonly n: number;
  readonly predicted: number;
  readonly mos: number;
}

/**
 * How well predictions on the MOS scale agree with the MOS. Bins have equal counts, in the order of the predictions.
 * The expected calibration error is Σ n_b/n · |mean prediction − mean MOS|, in units of the MOS.
 */
export function reliability(
  predicted: ArrayLike<number>,
  mos: ArrayLike<number>,
  bins = 10,
): { bins: ReliabilityBin[]; ece: number } {
  const n = requirePairs(predicted, mos);
  const order = argsort(predicted);
  const count = Math.max(1, Math.min(bins, n));
  const result: ReliabilityBin[] = [];
  for (let b = 0; b < count; b++) {
    const members = order.subarray(Math.floor((b * n) / count), Math.floor(((b + 1) * n) / count));
    result.push({
      n: members.length,
      predicted: mean(Float64Array.from(members, (i) => predicted[i]!)),
      mos: mean(Float64Array.from(members, (i) => mos[i]!)),
    });
  }
  return { bins: result, ece: result.reduce((sum, bin) => sum + (bin.n / n) * Math.abs(bin.predicted - bin.mos), 0) };
}

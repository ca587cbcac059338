import { decimal } from '../../report/text.js';
import { logisticAt, type Logistic } from '../../scoring/statistics/logistic.js';
import type { DatasetMeasures } from './measure.js';

/** In ranges of the scores or of the MOS. A parameter further outside does not describe the items. */
const FAR = 2;
/** Fraction of the rise. A curve closer than this to a straight line is nearly linear. */
const LINEAR = 0.1;
/** Fraction of the range of the scores. A narrower rise is a step. */
const STEP = 1e-3;

/**
 * Describes the fitted curve: as a formula if its parameters describe the data, otherwise by its shape. If a line, an
 * exponential or a step fits best, there is no finite optimum, and the parameters diverge.
 */
export function describeLogistic(
  logistic: Logistic,
  { score: [low, high], mos: [worst, best] }: DatasetMeasures['ranges'],
): string {
  const { beta1, beta2, beta3, beta4 } = logistic;
  const [width, spread] = [high - low, best - worst];
  if (Math.abs(beta4) < STEP * width) return `the fitted curve is nearly a step at the score ${decimal(beta3, 3)}`;
  const isFar =
    beta3 < low - FAR * width ||
    beta3 > high + FAR * width ||
    [beta1, beta2].some((end) => end < worst - FAR * spread || end > best + FAR * spread);
  if (!isFar)
    return `f(x) = ${decimal(beta2)} + (${decimal(beta1)} − ${decimal(beta2)}) / (1 + exp(−(x − ${decimal(beta3)}) / ${decimal(Math.abs(beta4))}))`;
  return fromLine(logistic, low, high) <= LINEAR
    ? 'the fitted curve is nearly linear over the range of the scores'
    : 'the fitted curve does not have the bend of a logistic over the range of the scores';
}

/** The largest distance from the straight line between the ends, as a fraction of the rise. */
function fromLine(logistic: Logistic, low: number, high: number): number {
  const [start, end] = [logisticAt(logistic, low), logisticAt(logistic, high)];
  const rise = Math.abs(end - start);
  if (rise === 0) return 0;
  return (
    Math.max(
      ...Array.from({ length: 51 }, (_, i) => {
        const share = i / 50;
        return Math.abs(logisticAt(logistic, low + share * (high - low)) - (start + share * (end - start)));
      }),
    ) / rise
  );
}

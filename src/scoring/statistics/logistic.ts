import { plcc } from './correlation.js';
import { mean, requirePairs } from './descriptive.js';

/**
 * f(x) = beta2 + (beta1 − beta2) / (1 + exp(−(x − beta3) / |beta4|)): the mapping of VQEG (FRTV Phase II, 2003) with
 * four parameters.
 */
export interface Logistic {
  /** Value far above the centre, in units of y. */
  readonly beta1: number;
  /** Value far below the centre, in units of y. */
  readonly beta2: number;
  /** Centre, in units of x. */
  readonly beta3: number;
  /** Width, in units of x; its sign has no effect. */
  readonly beta4: number;
}

/** A fitted logistic and how well it fits. */
export interface LogisticFit extends Logistic {
  /** Σ (y − f(x))², in squared units of y. */
  readonly sum_of_squares: number;
  /** Steps of the search. */
  readonly iterations: number;
  /**
   * False if the search reached its limit: 200 steps, or 25 steps for at least a hundred thousand pairs. The curve is
   * then also usable.
   */
  readonly converged: boolean;
}

const MAX_ITERATIONS = 200;
/** With more pairs, most steps use only this many; the last steps use all. */
const PART = 50_000;
/** The starts are compared on this many pairs. */
const SURVEYED = 1_000;
const REFINED = 5_000;
/**
 * Bounds of the logarithm of the width. Data that a line, an exponential or a step fits best has no finite optimum.
 * Within these bounds, the fit reaches such curves to 1e-6 of their spread without numerical problems.
 */
const WIDTHS = [Math.log(1e-9), Math.log(1e4)] as const;
const BEYOND = 14;

/**
 * The value of the mapping at x, in units of the MOS that it was fitted to. Each side is computed from its own
 * asymptote, because the other asymptote can be arbitrarily far away.
 * @example
 * ```ts
 * logisticAt({ beta1: 100, beta2: 0, beta3: 3, beta4: 0.5 }, 3); // 50, halfway between beta1 and beta2
 * ```
 */
export function logisticAt({ beta1, beta2, beta3, beta4 }: Logistic, x: number): number {
  const z = (x - beta3) / Math.abs(beta4);
  return z > 0 ? beta1 + (beta2 - beta1) / (1 + Math.exp(z)) : beta2 + (beta1 - beta2) / (1 + Math.exp(-z));
}

/**
 * Fits the mapping by least squares. For a given centre and width, linear algebra gives the best beta1 and beta2, so
 * that the search is only over centre and width. This is variable projection (Golub and Pereyra 1973) with Kaufman's
 * Jacobian. The Levenberg-Marquardt search begins at the usual start (mean x, std x / 4) and, because of local optima,
 * at the best starts of a grid. The result never fits worse than the usual start, or than a line except for rounding.
 *
 * @param x predicted scores, length n
 * @param y mean opinion scores, length n
 * @returns undefined if there is nothing to fit: fewer than four pairs, or one side constant
 * @throws RangeError when the lengths differ or a value is not finite
 * @example
 * ```ts
 * const fit = fitLogistic([1.2, 2.1, 3.3, 4.4, 4.8], [10, 30, 55, 80, 92]);
 * if (fit !== undefined) console.log(logisticAt(fit, 3));
 * ```
 */
export function fitLogistic(x: ArrayLike<number>, y: ArrayLike<number>): LogisticFit | undefined {
  const n = requirePairs(x, y);
  if (n < 4 || Number.isNaN(plcc(x, y))) return undefined;
  const [a, b] = [standardised(x), standardised(y)];
  if (!Number.isFinite(a.scale) || !Number.isFinite(b.scale)) return undefined;
  const refined = every(a.values, b.values, REFINED);
  const starts = bestStarts(every(a.values, b.values, SURVEYED)).map((start) => descend(refined, start));
  let found = starts.reduce((best, one) => (one.squares < best.squares ? one : best));
  if (n > REFINED)
    for (const pairs of [every(a.values, b.values, PART), ...(n > PART ? [{ x: a.values, y: b.values }] : [])])
      found = descend(pairs, found.shape);
  const { low, rise } = project({ x: a.values, y: b.values }, found.shape);
  const fit: Logistic = {
    beta1: (low + rise) * b.scale + b.middle,
    beta2: low * b.scale + b.middle,
    beta3: found.shape.centre * a.scale + a.middle,
    beta4: Math.exp(found.shape.logWidth) * a.scale,
  };
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (y[i]! - logisticAt(fit, x[i]!)) ** 2;
  return { ...fit, sum_of_squares: squares, iterations: found.iterations, converged: found.converged };
}

interface Pairs {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** The parameters of the search; x is in units of its standard deviation. */
interface Shape {
  readonly centre: number;
  readonly logWidth: number;
}

interface Projection {
  /** Sum of squares of the residual of the best low + rise · sigmoid. */
  readonly squares: number;
  readonly low: number;
  readonly rise: number;
  /** JᵀJ and −Jᵀr for steps of the centre in widths and of the logarithm of the width. */
  readonly normal: readonly [m00: number, m01: number, m11: number, g0: number, g1: number];
}

function descend(pairs: Pairs, start: Shape): Projection & { shape: Shape; iterations: number; converged: boolean } {
  const { gain, steps } = patience(pairs.x.length);
  const [min, max] = ends(pairs.x);
  let shape = start;
  let best = project(pairs, shape);
  let damping = 1e-3;
  let iterations = 0;
  let converged = false;
  while (!converged && iterations < steps && damping < 1e12) {
    iterations += 1;
    const trial = step(shape, best.normal, damping, min, max);
    const next = project(pairs, trial);
    if (next.squares < best.squares) {
      converged = best.squares - next.squares <= gain * best.squares || next.squares < 1e-25 * pairs.x.length;
      [shape, best] = [trial, next];
      damping = Math.max(1e-12, damping / 10);
    } else {
      converged =
        Math.abs(trial.centre - shape.centre) <= 1e-12 * Math.exp(shape.logWidth) &&
        Math.abs(trial.logWidth - shape.logWidth) < 1e-12;
      damping *= 10;
    }
  }
  return { ...best, shape, iterations, converged: converged || damping >= 1e12 };
}

/**
 * One damped step. The bounds of the centre move with the width. A centre that would leave its bounds moves with them,
 * which finds the width of an exponential.
 */
function step(
  { centre, logWidth }: Shape,
  [m00, m01, m11, g0, g1]: Projection['normal'],
  damping: number,
  min: number,
  max: number,
): Shape {
  const [d0, d1] = [m00 * (1 + damping) + 1e-300, m11 * (1 + damping) + 1e-300];
  const determinant = d0 * d1 - m01 * m01;
  const width = Math.exp(logWidth);
  const free = {
    centre: centre + width * limit((g0 * d1 - g1 * m01) / determinant),
    logWidth: clamp(logWidth + limit((g1 * d0 - g0 * m01) / determinant), ...WIDTHS),
  };
  const reach = BEYOND * Math.exp(free.logWidth);
  if (free.centre >= min - reach && free.centre <= max + reach) return free;
  const out = free.centre > max ? BEYOND : -BEYOND;
  const along = (out * g0 + g1) / ((out * out * m00 + 2 * out * m01 + m11) * (1 + damping) + 1e-300);
  const tied = clamp(logWidth + limit(along), ...WIDTHS);
  return { centre: (out > 0 ? max : min) + out * Math.exp(tied), logWidth: tied };
}

/**
 * The minimum is flat: a gain of 1e-13 changes PLCC by 1e-13. With many pairs, each step is slow and less precision is
 * enough, because another sample would change the fit much more.
 */
function patience(n: number): { readonly gain: number; readonly steps: number } {
  return n < 2 * PART ? { gain: 1e-13, steps: MAX_ITERATIONS } : { gain: 1e-9, steps: 25 };
}

/**
 * The best low and rise for a shape, and the normal equations of its next step. All sums use differences from means,
 * because a sigmoid as wide as a line hardly varies.
 */
function project({ x, y }: Pairs, { centre, logWidth }: Shape): Projection {
  const n = x.length;
  const width = Math.exp(logWidth);
  const [s, d, dz] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)];
  let [sSum, dSum, dzSum, ySum] = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const z = (x[i]! - centre) / width;
    const share = 1 / (1 + Math.exp(-z));
    const slope = -share * (1 - share);
    s[i] = share;
    d[i] = slope;
    dz[i] = slope === 0 ? 0 : slope * z;
    sSum += share;
    dSum += slope;
    dzSum += dz[i]!;
    ySum += y[i]!;
  }
  const [sMean, dMean, dzMean, yMean] = [sSum / n, dSum / n, dzSum / n, ySum / n];
  let [yy, ss, sy, s0, s1, y0, y1, m00, m01, m11] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [u, v, p, q] = [s[i]! - sMean, y[i]! - yMean, d[i]! - dMean, dz[i]! - dzMean];
    yy += v * v;
    ss += u * u;
    sy += u * v;
    s0 += u * p;
    s1 += u * q;
    y0 += v * p;
    y1 += v * q;
    m00 += p * p;
    m01 += p * q;
    m11 += q * q;
  }
  // a step outside the data, or narrower than the precision of doubles
  if (!(ss > 0)) return { squares: yy, low: yMean, rise: 0, normal: [0, 0, 0, 0, 0] };
  const rise = sy / ss;
  const low = yMean - rise * sMean;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (y[i]! - yMean - rise * (s[i]! - sMean)) ** 2;
  // the Jacobian is rise · (the part of d and dz that is orthogonal to the constant and to the sigmoid)
  const square = rise * rise;
  return {
    squares,
    low,
    rise,
    normal: [
      square * (m00 - (s0 * s0) / ss),
      square * (m01 - (s0 * s1) / ss),
      square * (m11 - (s1 * s1) / ss),
      rise * (y0 - rise * s0),
      rise * (y1 - rise * s1),
    ],
  };
}

/**
 * The usual start, and the best starts of a grid. Centres are quantiles and both ends; widths range from the spread of
 * nearby values to ten times the spread of all.
 */
function bestStarts(pairs: Pairs): Shape[] {
  const sorted = pairs.x.slice().sort();
  const at = (share: number): number => sorted[Math.round(clamp(share, 0, 1) * (sorted.length - 1))]!;
  const half = at(0.75) - at(0.25);
  const best = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1].map((share) => {
    const widths = [
      (at(share + 0.1) - at(share - 0.1)) / 5,
      0.01 * half,
      0.1 * half,
      0.3 * half,
      half,
      0.25,
      1,
      10,
    ].filter((width) => width > 0);
    return widths
      .map((width) => ({ centre: at(share), logWidth: Math.log(width) }))
      .map((shape) => ({ shape, squares: project(pairs, shape).squares }))
      .reduce((a, b) => (b.squares < a.squares ? b : a));
  });
  return [
    { centre: 0, logWidth: Math.log(0.25) },
    ...best
      .sort((a, b) => a.squares - b.squares)
      .slice(0, 4)
      .map(({ shape }) => shape),
  ];
}

function every(x: Float64Array, y: Float64Array, most: number): Pairs {
  const step = Math.ceil(x.length / most);
  if (step === 1) return { x, y };
  const count = Math.floor(x.length / step);
  const take = (values: Float64Array): Float64Array =>
    Float64Array.from({ length: count }, (_, i) => values[i * step]!);
  return { x: take(x), y: take(y) };
}

function ends(values: Float64Array): [number, number] {
  let [min, max] = [Infinity, -Infinity];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return [min, max];
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
/** Limits a step to two widths, or to a factor e² of the width. A longer step can lead to another local minimum. */
const limit = (step: number): number => (Number.isFinite(step) ? clamp(step, -2, 2) : 0);

function standardised(values: ArrayLike<number>): { values: Float64Array; middle: number; scale: number } {
  const middle = mean(values);
  const result = new Float64Array(values.length);
  let top = 0;
  for (let i = 0; i < result.length; i++) {
    result[i] = values[i]! - middle;
    top = Math.max(top, Math.abs(result[i]!));
  }
  let squares = 0;
  for (let i = 0; i < result.length; i++) squares += (result[i]! / top) ** 2;
  const scale = top * Math.sqrt(squares / result.length);
  for (let i = 0; i < result.length; i++) result[i]! /= scale;
  return { values: result, middle, scale };
}

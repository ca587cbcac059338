import { mean, plcc } from './correlation.js';
import { requirePairs } from './pairs.js';

/** f(x) = beta2 + (beta1 − beta2) / (1 + exp(−(x − beta3) / |beta4|)): the mapping of VQEG (FRTV Phase II, 2003), four parameters. */
export interface Logistic {
  readonly beta1: number;
  readonly beta2: number;
  readonly beta3: number;
  readonly beta4: number;
}

export interface LogisticFit extends Logistic {
  /** Σ (y − f(x))², in squared units of y. */
  readonly sum_of_squares: number;
  readonly iterations: number;
  /** False: the best when patience ran out (300 steps, 25 of a hundred thousand pairs and more). On data that a line fits best there is no finite optimum; the curve is good all the same. */
  readonly converged: boolean;
}

const MAX_ITERATIONS = 300;
const PART = 50_000;

/** The value of the mapping at x, in units of the MOS it was fitted to. */
export function logisticAt({ beta1, beta2, beta3, beta4 }: Logistic, x: number): number {
  return beta2 + (beta1 - beta2) / (1 + Math.exp(-(x - beta3) / Math.abs(beta4)));
}

/**
 * Least squares by Levenberg and Marquardt, from the usual start: beta1 = max y, beta2 = min y (exchanged where x and y
 * run against each other), beta3 = mean x, beta4 = std x / 4. The result never fits worse than that start.
 *
 * @param x predicted scores, length n
 * @param y mean opinion scores, length n
 * @returns undefined where there is nothing to fit: fewer than four pairs, or one side constant
 * @throws RangeError when the lengths differ or a value is not finite
 */
export function fitLogistic(x: ArrayLike<number>, y: ArrayLike<number>): LogisticFit | undefined {
  const n = requirePairs(x, y);
  const r = plcc(x, y);
  if (n < 4 || Number.isNaN(r)) return undefined;
  const [a, b] = [standardised(x), standardised(y)];
  const usual: Quad = r < 0 ? [b.min, b.max, 0, 0.25] : [b.max, b.min, 0, 0.25];
  // a hundred thousand and more: most steps are taken on a part, the last few on all
  const step = Math.floor(n / PART);
  const start = step < 2 ? usual : descend(every(a.values, step), every(b.values, step), usual).best;
  const { best, squares, iterations, converged } = descend(a.values, b.values, start);
  return {
    beta1: best[0] * b.scale + b.middle,
    beta2: best[1] * b.scale + b.middle,
    beta3: best[2] * a.scale + a.middle,
    beta4: Math.abs(best[3]) * a.scale,
    sum_of_squares: squares * b.scale ** 2,
    iterations,
    converged,
  };
}

type Quad = [number, number, number, number];

function descend(x: Float64Array, y: Float64Array, start: Quad): { best: Quad; squares: number; iterations: number; converged: boolean } {
  let best = start;
  let normal = normalEquations(x, y, best);
  let damping = 1e-3;
  let iterations = 0;
  let converged = false;
  const { gain, steps } = patience(x.length);
  while (!converged && iterations < steps && damping < 1e12) {
    iterations += 1;
    const step = solve(normal.matrix, normal.gradient, damping);
    const trial = best.map((value, i) => value + step[i]!) as Quad;
    const next = normalEquations(x, y, trial);
    if (next.squares < normal.squares) {
      converged = normal.squares - next.squares <= gain * normal.squares || next.squares < 1e-25 * x.length;
      best = trial;
      normal = next;
      damping = Math.max(1e-12, damping / 10);
    } else {
      converged = Math.max(...step.map(Math.abs)) < 1e-12;
      damping *= 10;
    }
  }
  return { best, squares: normal.squares, iterations, converged: converged || damping >= 1e12 };
}

/**
 * The minimum is flat: a gain of 1e-13 moves PLCC by 1e-13. Of many pairs, where every step takes long, less will do: another
 * sample of them would change the fit by far more.
 */
function patience(n: number): { readonly gain: number; readonly steps: number } {
  return n < 2 * PART ? { gain: 1e-13, steps: MAX_ITERATIONS } : { gain: 1e-9, steps: 25 };
}

function every(values: Float64Array, step: number): Float64Array {
  const result = new Float64Array(Math.floor(values.length / step));
  for (let i = 0; i < result.length; i++) result[i] = values[i * step]!;
  return result;
}

function standardised(values: ArrayLike<number>): { values: Float64Array; middle: number; scale: number; min: number; max: number } {
  const middle = mean(values);
  const result = new Float64Array(values.length);
  let [top, min, max] = [0, Infinity, -Infinity];
  for (let i = 0; i < result.length; i++) {
    result[i] = values[i]! - middle;
    top = Math.max(top, Math.abs(result[i]!));
  }
  let squares = 0;
  for (let i = 0; i < result.length; i++) squares += (result[i]! / top) ** 2;
  const scale = top * Math.sqrt(squares / result.length);
  for (let i = 0; i < result.length; i++) {
    const value = result[i]! / scale;
    result[i] = value;
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return { values: result, middle, scale, min, max };
}

/** JᵀJ (row by row), Jᵀr and Σr² of the residuals r = y − f(x). */
function normalEquations(x: Float64Array, y: Float64Array, [b1, b2, b3, b4]: Quad): { matrix: Float64Array; gradient: Float64Array; squares: number } {
  const width = Math.abs(b4);
  const sign = Math.sign(b4);
  let [m00, m01, m02, m03, m11, m12, m13, m22, m23, m33] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  let [g0, g1, g2, g3, squares] = [0, 0, 0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const z = (x[i]! - b3) / width;
    const s = 1 / (1 + Math.exp(-z));
    const residual = y[i]! - b2 - (b1 - b2) * s;
    const slope = ((b1 - b2) * s * (1 - s)) / width;
    const d0 = s;
    const d1 = 1 - s;
    const d2 = -slope;
    const d3 = -slope * z * sign;
    squares += residual * residual;
    g0 += d0 * residual;
    g1 += d1 * residual;
    g2 += d2 * residual;
    g3 += d3 * residual;
    m00 += d0 * d0;
    m01 += d0 * d1;
    m02 += d0 * d2;
    m03 += d0 * d3;
    m11 += d1 * d1;
    m12 += d1 * d2;
    m13 += d1 * d3;
    m22 += d2 * d2;
    m23 += d2 * d3;
    m33 += d3 * d3;
  }
  // a width of zero, or numbers too large: worse than anything
  if (!Number.isFinite(squares + m33 + g3)) squares = Infinity;
  return { matrix: Float64Array.of(m00, m01, m02, m03, m01, m11, m12, m13, m02, m12, m22, m23, m03, m13, m23, m33), gradient: Float64Array.of(g0, g1, g2, g3), squares };
}

/** (A + damping · diag A) · step = gradient, by Gauss with pivoting. */
function solve(matrix: Float64Array, gradient: Float64Array, damping: number): number[] {
  const rows = Array.from({ length: 4 }, (_, i) => [...matrix.subarray(4 * i, 4 * i + 4), gradient[i]!]);
  rows.forEach((row, i) => (row[i] = row[i]! * (1 + damping) + 1e-300));
  for (let column = 0; column < 4; column++) {
    const pivot = rows.slice(column).reduce((top, row, k) => (Math.abs(row[column]!) > Math.abs(rows[top]![column]!) ? column + k : top), column);
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let below = column + 1; below < 4; below++) {
      const factor = rows[below]![column]! / rows[column]![column]!;
      for (let k = column; k < 5; k++) rows[below]![k]! -= factor * rows[column]![k]!;
    }
  }
  const step = [0, 0, 0, 0];
  for (let i = 3; i >= 0; i--) {
    const known = rows[i]!.slice(i + 1, 4).reduce((sum, value, k) => sum + value * step[i + 1 + k]!, 0);
    step[i] = (rows[i]![4]! - known) / rows[i]![i]!;
  }
  return step.map((value) => (Number.isFinite(value) ? value : 0));
}

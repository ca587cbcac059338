const SQRT_2PI = Math.sqrt(2 * Math.PI);

/** Density of the normal distribution at x. `std` > 0. */
export function normalPdf(x: number, mean: number, std: number): number {
  const z = (x - mean) / std;
  return Math.exp(-0.5 * z * z) / (SQRT_2PI * std);
}

/** Cumulative normal distribution at x, with a relative error of about 1e-15 in both tails. `std` > 0. */
export function normalCdf(x: number, mean: number, std: number): number {
  const z = (x - mean) / std;
  const tail = upperTail(Math.abs(z));
  return z >= 0 ? 1 - tail : tail;
}

/**
 * Upper tail of the standard normal distribution, z ≥ 0. Below 3: ½ minus the all-positive series
 * φ(z)·Σ z^(2n+1)/(1·3·5…(2n+1)); above: the continued fraction φ(z)/(z + 1/(z + 2/(z + 3/…))), computed backwards
 * (Abramowitz and Stegun 26.2.11 and 26.2.14).
 */
function upperTail(z: number): number {
  const density = Math.exp(-0.5 * z * z) / SQRT_2PI;
  if (z < 3) {
    let term = z;
    let sum = z;
    for (let odd = 3; term > sum * 1e-17; odd += 2) {
      term *= (z * z) / odd;
      sum += term;
    }
    return 0.5 - density * sum;
  }
  let fraction = z;
  for (let n = 120; n >= 1; n--) fraction = z + n / fraction;
  return density / fraction;
}

import { PAD_COLOUR } from '../preprocessing.js';
import { toByte, type ResamplePlan } from './resample-plan.js';

/**
 * The resampler in plain TypeScript. It runs if WebAssembly SIMD is missing, and is the reference for testing the
 * WebAssembly resampler. It is five times slower.
 *
 * @param data uint8 RGB, `plan.height` rows of `plan.width` pixels
 * @returns uint8 RGB, `plan.outHeight` rows of `plan.outWidth` pixels
 */
export function resamplePlain(data: Uint8Array, plan: ResamplePlan): Uint8Array {
  return verticalPass(horizontalPass(data, plan), plan);
}

/** [height, width, 3] → [height, outWidth, 3] */
function horizontalPass(data: Uint8Array, plan: ResamplePlan): Uint8Array {
  const { width, height, outWidth, columns } = plan;
  const out = new Uint8Array(height * outWidth * 3);
  for (let x = 0; x < outWidth; x++) {
    const count = columns.count[x] ?? 0;
    const start = columns.start[x] ?? 0;
    const first = (columns.first[x] ?? 0) * 3;
    const outside = columns.padding[x] ?? 0;
    for (let y = 0; y < height; y++) {
      let red = outside * PAD_COLOUR[0];
      let green = outside * PAD_COLOUR[1];
      let blue = outside * PAD_COLOUR[2];
      let at = y * width * 3 + first;
      for (let k = start; k < start + count; k++, at += 3) {
        const weight = columns.weights[k] ?? 0;
        red += weight * (data[at] ?? 0);
        green += weight * (data[at + 1] ?? 0);
        blue += weight * (data[at + 2] ?? 0);
      }
      const to = (y * outWidth + x) * 3;
      out[to] = toByte(red);
      out[to + 1] = toByte(green);
      out[to + 2] = toByte(blue);
    }
  }
  return out;
}

/** [height, outWidth, 3] → [outHeight, outWidth, 3] */
function verticalPass(data: Uint8Array, plan: ResamplePlan): Uint8Array {
  const { outWidth, outHeight, rows, paddingRow } = plan;
  const stride = outWidth * 3;
  const out = new Uint8Array(outHeight * stride);
  const sums = new Float64Array(stride);
  for (let y = 0; y < outHeight; y++) {
    const outside = rows.padding[y] ?? 0;
    for (let i = 0; i < stride; i++) sums[i] = outside * (paddingRow[i] ?? 0);
    const start = rows.start[y] ?? 0;
    const first = rows.first[y] ?? 0;
    for (let k = 0; k < (rows.count[y] ?? 0); k++) {
      const weight = rows.weights[start + k] ?? 0;
      const at = (first + k) * stride;
      for (let i = 0; i < stride; i++) sums[i] = (sums[i] ?? 0) + weight * (data[at + i] ?? 0);
    }
    for (let i = 0; i < stride; i++) out[y * stride + i] = toByte(sums[i] ?? 0);
  }
  return out;
}

/** Quantised wavelet coefficients, as JPEG 2000 at low rates leaves. */
import type { RawPicture } from '../resample/resample.js';

const SCALES = 4;

/** Quantises the coefficients of a 5/3 wavelet of luma and colours with a dead zone. `step` is in levels. */
export function wavelet({ width, height, data }: RawPicture, step: number): RawPicture {
  const [luma, blue, red] = [0, 1, 2].map(() => new Float32Array(width * height)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  for (let i = 0, at = 0; i < luma.length; i++, at += 3) {
    luma[i] = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
    red[i] = data[at]! - luma[i]!;
    blue[i] = data[at + 2]! - luma[i]!;
  }
  code(luma, width, width, height, step / 2, SCALES);
  for (const plane of [blue, red]) code(plane, width, width, height, 0.8 * step, SCALES);
  const out = new Uint8ClampedArray(data.length);
  for (let i = 0, at = 0; i < luma.length; i++, at += 3) {
    out[at] = luma[i]! + red[i]!;
    out[at + 1] = luma[i]! - (0.299 * red[i]! + 0.114 * blue[i]!) / 0.587;
    out[at + 2] = luma[i]! + blue[i]!;
  }
  return { width, height, data: new Uint8Array(out.buffer) };
}

/**
 * Codes the `w` × `h` values at the top left. Details are quantised, and the means are coded in the same way with half
 * the step.
 */
function code(plane: Float32Array, stride: number, w: number, h: number, step: number, scales: number): void {
  if (scales === 0 || w < 4 || h < 4) return;
  const line = new Float32Array(Math.max(w, h));
  rowsOf(plane, stride, w, h, (row) => analyse(row, line));
  columnsOf(plane, stride, w, h, analyse);
  const [lowWidth, lowHeight] = [(w + 1) >> 1, (h + 1) >> 1];
  for (let y = 0; y < h; y++)
    quantise(plane.subarray(y * stride + (y < lowHeight ? lowWidth : 0), y * stride + w), step);
  code(plane, stride, lowWidth, lowHeight, step / 2, scales - 1);
  columnsOf(plane, stride, w, h, synthesise);
  rowsOf(plane, stride, w, h, (row) => synthesise(row, line));
}

function quantise(values: Float32Array, step: number): void {
  for (let i = 0; i < values.length; i++) {
    const whole = Math.trunc(values[i]! / step);
    values[i] = whole === 0 ? 0 : (whole + Math.sign(whole) * 0.5) * step;
  }
}

type Lift = (line: Float32Array, spare: Float32Array) => void;

function rowsOf(plane: Float32Array, stride: number, w: number, h: number, use: (row: Float32Array) => void): void {
  for (let y = 0; y < h; y++) use(plane.subarray(y * stride, y * stride + w));
}

/** Sixteen columns at a time, so that each read of a row serves all of them. */
function columnsOf(plane: Float32Array, stride: number, w: number, h: number, lift: Lift): void {
  const most = 16;
  const columns = Array.from({ length: most }, () => new Float32Array(h));
  const spare = new Float32Array(h);
  for (let from = 0; from < w; from += most) {
    const count = Math.min(most, w - from);
    for (let y = 0; y < h; y++) for (let k = 0; k < count; k++) columns[k]![y] = plane[y * stride + from + k]!;
    for (let k = 0; k < count; k++) lift(columns[k]!, spare);
    for (let y = 0; y < h; y++) for (let k = 0; k < count; k++) plane[y * stride + from + k] = columns[k]![y]!;
  }
}

/** Odd values become details, even ones means. The means are stored first. */
function analyse(line: Float32Array, spare: Float32Array): void {
  const { length } = line;
  const means = (length + 1) >> 1;
  for (let i = 1; i < length; i += 2) line[i]! -= (line[i - 1]! + line[i + 1 < length ? i + 1 : i - 1]!) / 2;
  for (let i = 0; i < length; i += 2)
    line[i]! += (line[i > 0 ? i - 1 : 1]! + line[i + 1 < length ? i + 1 : i - 1]!) / 4;
  for (let i = 0; i < length; i++) spare[i & 1 ? means + (i >> 1) : i >> 1] = line[i]!;
  line.set(spare.subarray(0, length));
}

function synthesise(line: Float32Array, spare: Float32Array): void {
  const { length } = line;
  const means = (length + 1) >> 1;
  for (let i = 0; i < length; i++) spare[i] = line[i & 1 ? means + (i >> 1) : i >> 1]!;
  line.set(spare.subarray(0, length));
  for (let i = 0; i < length; i += 2)
    line[i]! -= (line[i > 0 ? i - 1 : 1]! + line[i + 1 < length ? i + 1 : i - 1]!) / 4;
  for (let i = 1; i < length; i += 2) line[i]! += (line[i - 1]! + line[i + 1 < length ? i + 1 : i - 1]!) / 2;
}

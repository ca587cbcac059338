import { RESAMPLE_MODULE_BASE64 } from './resample-module.generated.js';
import { PAD_COLOUR } from '../preprocessing.js';
import type { ResamplePlan } from './resample-plan.js';
import type { CutTable } from './resample-table.js';

/** The used part of the WebAssembly API. Node has it, but its type definitions do not. */
interface WebAssemblyApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: unknown };
  validate(bytes: Uint8Array): boolean;
}
interface ResampleExports {
  memory: { buffer: ArrayBuffer; grow(pages: number): number };
  horizontal(
    source: number,
    stride: number,
    rows: number,
    target: number,
    targetStride: number,
    size: number,
    outputs: number,
  ): void;
  vertical(taps: number, pairs: number, target: number, bytes: number): void;
}

export type Resample = (data: Uint8Array, plan: ResamplePlan) => Uint8Array;

const PAGE = 65_536;
/** Source rows are copied to WebAssembly in strips of about this many bytes, which fit in the processor's cache. */
const STRIP_BYTES = 1 << 18;
/** SIMD loads and stores go beyond the end of a row by at most this many bytes. */
const SLACK = 32;
/** Above this size an instance is dropped after use, because WebAssembly memory never shrinks. */
const KEPT_BYTES = 64 << 20;

const align = (bytes: number): number => (bytes + 63) & ~63;
/** A weight is high · 32768 + low. */
const low = (weight: number): number => weight & 0x7fff;
const high = (weight: number): number => (weight >> 15) & 0xffff;

/** Packs two 16-bit numbers into a 32-bit lane, the first in the low half. */
const lane = (first: number, second: number): number => first | (second << 16);

interface Packed {
  /** Eight i32 per output column. The addresses of the weights are relative to the start of `weights`. */
  readonly outputs: Int32Array;
  readonly weights: Int32Array;
}

/** Packs columns in the layout that `horizontal` in resample.wat reads. */
function packColumns(columns: CutTable): Packed {
  const size = columns.first.length;
  const outputs = new Int32Array(size * 8);
  const groups = columns.count.reduce((sum, count) => sum + Math.ceil(count / 4), 0);
  const weights = new Int32Array(groups * 4);
  let at = 0;
  for (let x = 0; x < size; x++) {
    const count = columns.count[x] ?? 0;
    const start = columns.start[x] ?? 0;
    const weight = (k: number): number => (k < count ? (columns.weights[start + k] ?? 0) : 0);
    const sum = (c: number): number => 2 ** 21 + (columns.padding[x] ?? 0) * (PAD_COLOUR[c] ?? 0);
    outputs.set([(columns.first[x] ?? 0) * 3, Math.ceil(count / 4), at * 4, 0, sum(0), sum(1), sum(2), 0], x * 8);
    for (let k = 0; k < count; k += 4) {
      weights[at++] = lane(low(weight(k)), low(weight(k + 1)));
      weights[at++] = lane(low(weight(k + 2)), low(weight(k + 3)));
      weights[at++] = lane(high(weight(k)), high(weight(k + 1)));
      weights[at++] = lane(high(weight(k + 2)), high(weight(k + 3)));
    }
  }
  return { outputs, weights };
}

interface PackedRows {
  /** Four i32 per pair of taps: two row numbers (0 is the padding row, i + 1 is row i), low halves, high halves. */
  readonly pairs: Int32Array;
  /** The pairs of output row y are `start[y]` … `start[y + 1] − 1`. */
  readonly start: Int32Array;
}

/** Packs rows in the layout that `vertical` in resample.wat reads, with row numbers instead of addresses. */
function packRows(rows: CutTable): PackedRows {
  const size = rows.first.length;
  const start = new Int32Array(size + 1);
  const pairs: number[] = [];
  for (let y = 0; y < size; y++) {
    const taps: [row: number, weight: number][] = [];
    if (rows.padding[y] !== 0) taps.push([0, rows.padding[y] ?? 0]);
    for (let k = 0; k < (rows.count[y] ?? 0); k++) {
      taps.push([(rows.first[y] ?? 0) + k + 1, rows.weights[(rows.start[y] ?? 0) + k] ?? 0]);
    }
    for (let k = 0; k < taps.length; k += 2) {
      const [rowA, weightA] = taps[k] ?? [0, 0];
      const [rowB, weightB] = taps[k + 1] ?? [0, 0];
      pairs.push(rowA, rowB, lane(low(weightA), low(weightB)), lane(high(weightA), high(weightB)));
    }
    start[y + 1] = pairs.length / 4;
  }
  return { pairs: Int32Array.from(pairs), start };
}

const packed = new WeakMap<ResamplePlan, { columns: Packed; rows: PackedRows }>();

function pack(plan: ResamplePlan): { columns: Packed; rows: PackedRows } {
  const known = packed.get(plan);
  if (known !== undefined) return known;
  const made = { columns: packColumns(plan.columns), rows: packRows(plan.rows) };
  packed.set(plan, made);
  return made;
}

/** Offsets of all data in WebAssembly memory for one plan, in bytes. */
function layOut(plan: ResamplePlan, tables: { columns: Packed; rows: PackedRows }) {
  const rowBytes = plan.outWidth * 3;
  const betweenStride = (rowBytes + SLACK) & ~15;
  const sourceStride = plan.width * 3;
  const stripRows = Math.max(1, Math.min(plan.height, Math.floor(STRIP_BYTES / sourceStride)));
  const outputs = 0;
  const weights = align(tables.columns.outputs.byteLength);
  const pairs = weights + align(tables.columns.weights.byteLength);
  const between = pairs + align(tables.rows.pairs.byteLength);
  const target = between + align((plan.height + 1) * betweenStride);
  const strip = target + align(plan.outHeight * rowBytes + SLACK);
  return {
    rowBytes,
    betweenStride,
    sourceStride,
    stripRows,
    outputs,
    weights,
    pairs,
    between,
    target,
    strip,
    end: strip + stripRows * sourceStride + SLACK,
  };
}

function run(exports: ResampleExports, data: Uint8Array, plan: ResamplePlan): Uint8Array {
  const tables = pack(plan);
  const at = layOut(plan, tables);
  const missing = at.end - exports.memory.buffer.byteLength;
  if (missing > 0) exports.memory.grow(Math.ceil(missing / PAGE));
  const bytes = new Uint8Array(exports.memory.buffer);
  const words = new Int32Array(exports.memory.buffer);

  words.set(tables.columns.outputs, at.outputs / 4);
  for (let x = 0; x < plan.outWidth; x++) words[x * 8 + 2] = (tables.columns.outputs[x * 8 + 2] ?? 0) + at.weights;
  words.set(tables.columns.weights, at.weights / 4);
  bytes.set(plan.paddingRow, at.between);
  for (let row = 0; row < plan.height; row += at.stripRows) {
    const rows = Math.min(at.stripRows, plan.height - row);
    bytes.set(data.subarray(row * at.sourceStride, (row + rows) * at.sourceStride), at.strip);
    exports.horizontal(
      at.strip,
      at.sourceStride,
      rows,
      at.between + (row + 1) * at.betweenStride,
      at.betweenStride,
      plan.outWidth,
      at.outputs,
    );
  }

  const { pairs, start } = tables.rows;
  words.set(pairs, at.pairs / 4);
  for (let i = 0, word = at.pairs / 4; i < pairs.length; i += 4, word += 4) {
    words[word] = at.between + (pairs[i] ?? 0) * at.betweenStride;
    words[word + 1] = at.between + (pairs[i + 1] ?? 0) * at.betweenStride;
  }
  for (let y = 0; y < plan.outHeight; y++) {
    const first = start[y] ?? 0;
    exports.vertical(at.pairs + first * 16, (start[y + 1] ?? 0) - first, at.target + y * at.rowBytes, at.rowBytes);
  }
  return bytes.slice(at.target, at.target + plan.outHeight * at.rowBytes);
}

/**
 * Creates the resampler in WebAssembly SIMD, or returns undefined if the engine has no SIMD. Its output equals
 * `resamplePlain` bit for bit. An instance keeps its memory for the next picture.
 */
export function createWasmResample(): Resample | undefined {
  const api = (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly;
  const binary = Buffer.from(RESAMPLE_MODULE_BASE64, 'base64');
  if (api === undefined || !api.validate(binary)) return undefined;
  const module = new api.Module(binary);
  let exports: ResampleExports | undefined;
  return (data, plan) => {
    exports ??= new api.Instance(module).exports as ResampleExports;
    const out = run(exports, data, plan);
    if (exports.memory.buffer.byteLength > KEPT_BYTES) exports = undefined;
    return out;
  };
}

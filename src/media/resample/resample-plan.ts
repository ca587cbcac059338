import { PAD_COLOUR } from '../preprocessing.js';
import { cutTable, makeTable, type CutTable } from './resample-table.js';

/** How a picture of a given shape becomes a square. Independent of the pixels. */
export interface ResamplePlan {
  readonly width: number;
  readonly height: number;
  /** Side of the padded square, the longer side of the picture. */
  readonly side: number;
  readonly size: number;
  /** Offset of the picture in the padded square. An odd row or column of padding is at the bottom or on the right. */
  readonly left: number;
  readonly top: number;
  readonly columns: CutTable;
  readonly rows: CutTable;
  /** A row of padding after the horizontal pass: RGB, `size` pixels. */
  readonly paddingRow: Uint8Array;
}

function makePaddingRow(columns: CutTable): Uint8Array {
  const size = columns.first.length;
  const row = new Uint8Array(size * 3);
  for (let x = 0; x < size; x++) {
    let sum = columns.padding[x] ?? 0;
    const start = columns.start[x] ?? 0;
    for (let k = 0; k < (columns.count[x] ?? 0); k++) sum += columns.weights[start + k] ?? 0;
    for (let c = 0; c < 3; c++) row[x * 3 + c] = toByte((PAD_COLOUR[c] ?? 0) * sum);
  }
  return row;
}

/** Rounds a sum of weight × pixel and clips it to 8 bits, as Pillow does after each pass. */
export function toByte(sum: number): number {
  const value = Math.floor((sum + 2 ** 21) / 2 ** 22);
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function makePlan(width: number, height: number, size: number): ResamplePlan {
  const side = Math.max(width, height);
  const left = Math.floor((side - width) / 2);
  const top = Math.floor((side - height) / 2);
  const table = makeTable(side, size);
  const columns = cutTable(table, left, width);
  return {
    width,
    height,
    side,
    size,
    left,
    top,
    columns,
    rows: cutTable(table, top, height),
    paddingRow: makePaddingRow(columns),
  };
}

/** Number of cached plans. A photo collection has few shapes, a crawl has thousands. Huge plans are not cached. */
const KEPT_PLANS = 16;
const KEPT_SIDE = 16_384;
const plans = new Map<string, ResamplePlan>();

/** Returns the plan for a picture of `width` × `height` and a square of `size`. Recent plans are cached. */
export function planResample(width: number, height: number, size: number): ResamplePlan {
  const key = `${width}x${height}>${size}`;
  const known = plans.get(key);
  const plan = known ?? makePlan(width, height, size);
  if (plan.side > KEPT_SIDE) return plan;
  plans.delete(key);
  plans.set(key, plan);
  if (plans.size > KEPT_PLANS) plans.delete(plans.keys().next().value ?? '');
  return plan;
}

import { PAD_COLOUR } from '../preprocessing.js';
import { cutTable, makeTable, type CutTable } from './resample-table.js';

/** How a picture of a given shape gets another shape. Independent of the pixels. */
export interface ResamplePlan {
  readonly width: number;
  readonly height: number;
  readonly outWidth: number;
  readonly outHeight: number;
  readonly columns: CutTable;
  readonly rows: CutTable;
  /** A row of padding after the horizontal pass: RGB, `outWidth` pixels. */
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

/** An odd row or column of padding is at the bottom or on the right. */
function planSquare(width: number, height: number, size: number): ResamplePlan {
  const side = Math.max(width, height);
  const left = Math.floor((side - width) / 2);
  const top = Math.floor((side - height) / 2);
  const table = makeTable(side, size);
  const columns = cutTable(table, left, width);
  return {
    width,
    height,
    outWidth: size,
    outHeight: size,
    columns,
    rows: cutTable(table, top, height),
    paddingRow: makePaddingRow(columns),
  };
}

/** Without padding, each direction has its own scale. */
function planRectangle(width: number, height: number, outWidth: number, outHeight: number): ResamplePlan {
  const columns = cutTable(makeTable(width, outWidth), 0, width);
  const rows = cutTable(makeTable(height, outHeight), 0, height);
  return { width, height, outWidth, outHeight, columns, rows, paddingRow: makePaddingRow(columns) };
}

/** Number of cached plans. A photo collection has few shapes, a crawl has thousands. Huge plans are not cached. */
const KEPT_PLANS = 16;
const KEPT_SIDE = 16_384;
const plans = new Map<string, ResamplePlan>();

/** Returns the plan for a picture of `width` × `height` and a square of `size`. Recent plans are cached. */
export function planResample(width: number, height: number, size: number): ResamplePlan {
  return cached(`${width}x${height}>${size}`, () => planSquare(width, height, size));
}

/** Returns the plan for a picture of `width` × `height` and a result of `outWidth` × `outHeight`, without padding. */
export function planResize(width: number, height: number, outWidth: number, outHeight: number): ResamplePlan {
  return cached(`${width}x${height}>${outWidth}x${outHeight}`, () => planRectangle(width, height, outWidth, outHeight));
}

function cached(key: string, make: () => ResamplePlan): ResamplePlan {
  const plan = plans.get(key) ?? make();
  if (Math.max(plan.width, plan.height) > KEPT_SIDE) return plan;
  plans.delete(key);
  plans.set(key, plan);
  if (plans.size > KEPT_PLANS) plans.delete(plans.keys().next().value ?? '');
  return plan;
}

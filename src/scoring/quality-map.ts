import type { Scale } from './levels.js';
import { quantile } from './statistics/descriptive.js';

/** Size and number of the windows of a quality map. */
export interface MapOptions {
  /**
   * Side of a window in pixels of the picture, at most its short side; default: the input size of the model times its
   * views.
   */
  readonly window?: number | undefined;
  /** Pixels from one window to the next, at most the side of a window; default: half of that side. */
  readonly stride?: number | undefined;
  /** Maximum number of windows of a picture, 1 to 1024. With more windows, the stride is increased; default: 144. */
  readonly max?: number | undefined;
}

/** Limits of the options of a map. */
export const MAP_LIMITS = {
  window: { least: 8, most: 65_536 },
  stride: { least: 1, most: 65_536 },
  max: { least: 1, most: 1024, usual: 144 },
} as const;

/** Whether the options leave space between windows. They are then refused. */
export const leavesGaps = ({ window, stride }: MapOptions): boolean =>
  window !== undefined && stride !== undefined && stride > window;

/** Square windows at native pixels: one at each pair of `xs` and `ys`. */
export interface WindowPlan {
  /** Side of a window in pixels of the picture. */
  readonly window: number;
  /** Left edges of the columns, in pixels from the left edge of the picture. */
  readonly xs: readonly number[];
  /** Upper edges of the rows, in pixels from the upper edge of the picture. */
  readonly ys: readonly number[];
  /** Reasons why the map is doubtful, as sentences. */
  readonly warnings: readonly string[];
}

/**
 * Places the windows of a map. They are spread evenly, and the first and the last touch the edges of the picture.
 *
 * @param modelSize input size of the model in pixels
 * @param views number of views of the model. The default side of a window is `views · modelSize`: in smaller windows
 * the native view shows most of what the whole view shows
 */
export function planWindows(
  width: number,
  height: number,
  modelSize: number,
  options: MapOptions = {},
  views = 1,
): WindowPlan {
  const short = Math.min(width, height);
  const window = Math.min(options.window ?? views * modelSize, short);
  const wanted = Math.min(options.stride ?? Math.max(1, Math.floor(window / 2)), window);
  const most = options.max ?? MAP_LIMITS.max.usual;
  const count = (side: number, stride: number): number => Math.ceil((side - window) / stride) + 1;
  const fits = (stride: number): boolean => count(width, stride) * count(height, stride) <= most;
  const stride = smallest(wanted, Math.max(width, height), fits);
  const xs = stride === undefined ? centred(width, window) : spread(width, window, count(width, stride));
  const ys = stride === undefined ? centred(height, window) : spread(height, window, count(height, stride));
  return { window, xs, ys, warnings: doubts({ width, height, modelSize, window, xs, ys }) };
}

/** The smallest whole number from `low` to `high` that fits; undefined if `high` does not fit. */
function smallest(low: number, high: number, fits: (value: number) => boolean): number | undefined {
  if (!fits(high)) return undefined;
  let [least, most] = [low, Math.max(low, high)];
  while (least < most) {
    const middle = Math.floor((least + most) / 2);
    if (fits(middle)) most = middle;
    else least = middle + 1;
  }
  return least;
}

const centred = (side: number, window: number): number[] => [Math.floor((side - window) / 2)];

function spread(side: number, window: number, count: number): number[] {
  if (count === 1) return centred(side, window);
  return Array.from({ length: count }, (_, i) => Math.round((i * (side - window)) / (count - 1)));
}

function doubts({
  width,
  height,
  modelSize,
  window,
  xs,
  ys,
}: Omit<WindowPlan, 'warnings'> & { width: number; height: number; modelSize: number }): string[] {
  const short = Math.min(width, height);
  const gap = Math.max(...[...steps(xs), ...steps(ys)], xs.length === 1 ? width : 0, ys.length === 1 ? height : 0);
  return [
    ...(window < modelSize
      ? [
          `windows of ${window} pixels are enlarged to the ${modelSize} pixels of the model, which can lower their scores`,
        ]
      : []),
    ...(short < 2 * window
      ? [`the short side of ${short} pixels is less than two windows of ${window}, too few to locate damage`]
      : []),
    ...(gap > window ? [`${xs.length * ys.length} windows of ${window} pixels leave parts of the picture out`] : []),
  ];
}

const steps = (starts: readonly number[]): number[] => starts.slice(1).map((start, i) => start - starts[i]!);

/** The scores of the windows, row by row from the top, and where they are. */
export type ScoredWindows = Pick<WindowPlan, 'window' | 'xs' | 'ys'> & { readonly values: readonly number[] };

/** The median of the windows; for an even count the mean of the two middle values. */
export const mapMedian = ({ values }: Pick<ScoredWindows, 'values'>): number =>
  quantile(Float64Array.from(values).sort(), 0.5);

/** The window with the lowest score; of equal scores, the first. `x` and `y` are its left and upper edge. */
export function lowestWindow({ xs, ys, values }: ScoredWindows): {
  readonly value: number;
  readonly x: number;
  readonly y: number;
} {
  const at = values.reduce((low, value, i) => (value < values[low]! ? i : low), 0);
  return { value: values[at]!, x: xs[at % xs.length]!, y: ys[Math.floor(at / xs.length)]! };
}

/** Lowest and highest score of each scale. */
export const BOUNDS: Readonly<Record<Scale, readonly [number, number]>> = {
  mos5: [1, 5],
  unit: [0, 1],
  percent: [0, 100],
};

/**
 * The difference from the median that is shown with the full colour. It is the largest of the map, but at least an
 * eighth of the scale: small differences look small.
 */
export function mapRange({ values }: Pick<ScoredWindows, 'values'>, scale: Scale): number {
  const middle = mapMedian({ values });
  const [low, high] = BOUNDS[scale];
  return values.reduce((most, value) => Math.max(most, Math.abs(value - middle)), (high - low) / 8);
}

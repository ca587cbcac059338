/** The windows of a quality map, with their scores row by row from the top. */
export interface MapWindows {
  /** Side of a window in pixels of the picture. */
  readonly window: number;
  readonly xs: readonly number[];
  readonly ys: readonly number[];
  readonly values: readonly number[];
  readonly median: number;
}

/** The area of the picture that shows the score of a window: the windows overlap, their areas do not. */
export interface MapArea {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Left upper corner of the window. */
  readonly x: number;
  readonly y: number;
  readonly value: number;
  /** Difference from the median of the map. */
  readonly difference: number;
  readonly colour: string;
}

type Rgb = readonly [number, number, number];
/** Orange is below the median and blue above it: people with any colour vision can distinguish them. */
const [BELOW, MIDDLE, ABOVE]: readonly [Rgb, Rgb, Rgb] = [
  [190, 82, 6],
  [245, 245, 245],
  [24, 90, 169],
];

/** The colour of a difference from the median. @param range difference with the full colour, above 0 */
export function mapColour(difference: number, range: number): string {
  const share = Math.max(-1, Math.min(1, difference / range));
  const end = share < 0 ? BELOW : ABOVE;
  const channel = (i: 0 | 1 | 2): number => Math.round(MIDDLE[i] + Math.abs(share) * (end[i] - MIDDLE[i]));
  return `rgb(${channel(0)},${channel(1)},${channel(2)})`;
}

/** The areas of all windows, row by row from the top. Borders are in the middle between two centres. */
export function mapAreas({ window, xs, ys, values, median }: MapWindows, range: number): MapArea[] {
  const columns = spans(xs, window);
  const rows = spans(ys, window);
  return rows.flatMap(([top, bottom], row) =>
    columns.map(([left, right], column): MapArea => {
      const value = values[row * xs.length + column]!;
      const difference = value - median;
      return {
        left,
        top,
        width: right - left,
        height: bottom - top,
        x: xs[column]!,
        y: ys[row]!,
        value,
        difference,
        colour: mapColour(difference, range),
      };
    }),
  );
}

function spans(starts: readonly number[], window: number): [number, number][] {
  const border = (i: number): number => (starts[i - 1]! + starts[i]! + window) / 2;
  return starts.map((start, i) => [
    i === 0 ? start : Math.max(start, border(i)),
    i === starts.length - 1 ? start + window : Math.min(start + window, border(i + 1)),
  ]);
}

/** Fraction of the picture that the colours hide. */
const OPACITY = 0.5;
const SWATCHES = 41;

export interface OverlayOptions {
  /** Size of the picture in pixels of the drawing. */
  readonly width: number;
  readonly height: number;
  /** Pixels of the drawing for one pixel of the picture. */
  readonly scale: number;
  /** Difference from the median with the full colour. */
  readonly range: number;
  /** Lowest and highest possible score. */
  readonly bounds: readonly [number, number];
}

/**
 * The map as an SVG over a picture of width × height pixels, with a legend of `legendHeight` pixels below it. The
 * legend has numbers at the lowest colour, at the median and at the highest colour. They are drawn without a font,
 * because a server can lack fonts.
 */
export function mapOverlaySvg(map: MapWindows, { width, height, scale, range, bounds }: OverlayOptions): string {
  const areas = mapAreas(map, range);
  const low = areas.reduce((least, one) => (one.value < least.value ? one : least));
  const at = (value: number): string => (value * scale).toFixed(2);
  const cells = areas.map(
    (one) =>
      `<rect x="${at(one.left)}" y="${at(one.top)}" width="${at(one.width)}" height="${at(one.height)}" fill="${one.colour}"/>`,
  );
  const unit = legendUnit(width);
  const frame = `<rect x="${at(low.x)}" y="${at(low.y)}" width="${at(map.window)}" height="${at(map.window)}" fill="none"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + legendHeight(width)}">`,
    `<g fill-opacity="${OPACITY}">${cells.join('')}</g>`,
    `${frame} stroke="white" stroke-width="${2 * unit}"/>${frame} stroke="black" stroke-width="${unit}" stroke-dasharray="${4 * unit}"/>`,
    `<g transform="translate(0 ${height})">${legend(map.median, { range, bounds, width }, unit)}</g>`,
    '</svg>',
  ].join('');
}

/** Height of the legend in pixels below a picture of this width. */
export const legendHeight = (width: number): number => 22 * legendUnit(width);

const legendUnit = (width: number): number => Math.max(1, Math.round(width / 320));

function legend(
  median: number,
  { range, bounds, width }: Pick<OverlayOptions, 'range' | 'bounds' | 'width'>,
  unit: number,
): string {
  const [edge, bar] = [6 * unit, width - 12 * unit];
  const [low, high] = [Math.max(bounds[0], median - range), Math.min(bounds[1], median + range)];
  const swatches = Array.from({ length: SWATCHES }, (_, i) => {
    const difference = low + ((high - low) * i) / (SWATCHES - 1) - median;
    return `<rect x="${(edge + (bar * i) / SWATCHES).toFixed(2)}" y="${4 * unit}" width="${(bar / SWATCHES + 0.5).toFixed(2)}" height="${6 * unit}" fill="${mapColour(difference, range)}"/>`;
  });
  const numbers = [low, median, high].map((value) => {
    const text = value.toFixed(2);
    const left = edge + ((value - low) / (high - low)) * (bar - textWidth(text, unit));
    return drawn(text, left, 13 * unit, unit);
  });
  return `<rect width="${width}" height="${22 * unit}" fill="white"/>${swatches.join('')}${numbers.join('')}`;
}

/** Rows of 3 bits, from the top. */
const GLYPHS: Readonly<Record<string, readonly number[]>> = {
  '0': [7, 5, 5, 5, 7],
  '1': [2, 6, 2, 2, 7],
  '2': [7, 1, 7, 4, 7],
  '3': [7, 1, 3, 1, 7],
  '4': [5, 5, 7, 1, 1],
  '5': [7, 4, 7, 1, 7],
  '6': [7, 4, 7, 5, 7],
  '7': [7, 1, 1, 2, 2],
  '8': [7, 5, 7, 5, 7],
  '9': [7, 5, 7, 1, 7],
  '-': [0, 0, 7, 0, 0],
  '.': [0, 0, 0, 0, 2],
};

const textWidth = (text: string, unit: number): number => (4 * text.length - 1) * unit;

function drawn(text: string, left: number, top: number, unit: number): string {
  const dots = [...text].flatMap((letter, i) =>
    (GLYPHS[letter] ?? []).flatMap((bits, row) =>
      [0, 1, 2]
        .filter((column) => (bits & (4 >> column)) !== 0)
        .map((column) => `M${left + (4 * i + column) * unit} ${top + row * unit}h${unit}v${unit}h${-unit}z`),
    ),
  );
  return `<path fill="black" d="${dots.join('')}"/>`;
}

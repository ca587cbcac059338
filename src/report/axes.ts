import { escape } from './escape.js';

export const [WIDTH, HEIGHT] = [440, 320];
export const EDGE = { left: 58, right: 14, top: 28, bottom: 46 };
/** Colours of the series in order, readable in light and dark mode and for colour-blind readers. */
export const COLOURS = ['mark', 'second', 'third', 'fourth', 'fifth', 'sixth'].map((name) => `var(--${name})`);

export interface Axes {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  /** Lines, ticks and labels, which must be drawn first. */
  readonly frame: string;
}

export interface AxesOptions {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  /** Names with units or scale, such as "MOS (0–100)". */
  readonly xLabel: string;
  readonly yLabel: string;
  /** False if the axis has names instead of numbers. */
  readonly xTicks?: boolean;
  /** Logarithmic y axis; its range must be above 0. */
  readonly yLog?: boolean;
}

export function createAxes({ x: xRange, y: yRange, xLabel, yLabel, xTicks = true, yLog = false }: AxesOptions): Axes {
  const x = (value: number): number =>
    fixed(EDGE.left + ((value - xRange[0]) / (xRange[1] - xRange[0])) * (WIDTH - EDGE.left - EDGE.right));
  const place = (value: number): number => (yLog ? Math.log10(value) : value);
  const [yLow, yHigh] = [place(yRange[0]), place(yRange[1])];
  const y = (value: number): number =>
    fixed(HEIGHT - EDGE.bottom - ((place(value) - yLow) / (yHigh - yLow)) * (HEIGHT - EDGE.top - EDGE.bottom));
  const bottom = HEIGHT - EDGE.bottom;
  const parts = [
    `<path d="M${EDGE.left} ${EDGE.top}V${bottom}H${WIDTH - EDGE.right}" fill="none" stroke="var(--line)"/>`,
  ];
  if (xTicks)
    for (const tick of ticks(xRange))
      parts.push(
        `<path d="M${x(tick.value)} ${bottom}v4" stroke="var(--line)"/>${label(x(tick.value), bottom + 17, tick.text)}`,
      );
  for (const tick of yLog ? logTicks(yRange) : ticks(yRange))
    parts.push(
      `<path d="M${EDGE.left} ${y(tick.value)}H${WIDTH - EDGE.right}" stroke="var(--line)" stroke-opacity=".6"/>${label(EDGE.left - 6, y(tick.value) + 4, tick.text, { anchor: 'end' })}`,
    );
  if (!yLog && yRange[0] < 0 && yRange[1] > 0)
    parts.push(`<path d="M${EDGE.left} ${y(0)}H${WIDTH - EDGE.right}" stroke="var(--soft)"/>`);
  parts.push(
    label((WIDTH + EDGE.left) / 2, HEIGHT - 7, xLabel, { strong: true }),
    `<text class="strong" transform="translate(13 ${(bottom + EDGE.top) / 2}) rotate(-90)" text-anchor="middle">${escape(yLabel)}</text>`,
  );
  return { x, y, frame: parts.join('') };
}

/** A text of a drawing, centred at x by default. */
export function label(
  x: number,
  y: number,
  text: string,
  { anchor = 'middle', strong = false }: { anchor?: 'start' | 'middle' | 'end'; strong?: boolean } = {},
): string {
  return `<text${strong ? ' class="strong"' : ''} x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}">${escape(text)}</text>`;
}

/** The legend above the frame: the names of the series in their colours. */
export function key(names: readonly string[]): string {
  const spans = names.map(
    (name, i) => `<tspan fill="${COLOURS[i % COLOURS.length]}"${i === 0 ? '' : ' dx="14"'}>■ ${escape(name)}</tspan>`,
  );
  return `<text x="${EDGE.left}" y="15">${spans.join('')}</text>`;
}

/** Four to eight round numbers inside a range. */
function ticks([low, high]: readonly [number, number]): { value: number; text: string }[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  // more than four decimals would be wider than the margin
  const text = (value: number): string =>
    value === 0
      ? '0'
      : (step >= 1e5 || digits > 4 ? value.toExponential(1) : value.toFixed(digits)).replaceAll('-', '−');
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++)
    found.push({ value: k * step, text: text(k === 0 ? 0 : k * step) });
  return found;
}

/** Powers of ten inside a range; with fewer than three of them also their multiples by 2 and 5. */
function logTicks([low, high]: readonly [number, number]): { value: number; text: string }[] {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const factors = last - first > 3 ? [1] : [1, 2, 5];
  const every = Math.max(1, Math.ceil((last - first) / 7));
  const found = [];
  for (let power = first; power <= last; power += every)
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) found.push({ value, text: logText(value) });
    }
  return found;
}

const logText = (value: number): string =>
  value >= 1e5 || value < 1e-3 ? value.toExponential(0).replace('-', '−') : String(Number(value.toPrecision(3)));

/** The range of a logarithmic axis around values above 0. */
export function logExtent(values: readonly number[]): [number, number] {
  const [low, high] = extent(values.filter((value) => value > 0).map(Math.log10));
  return [10 ** low, 10 ** high];
}

/** The lowest and the highest value with a margin; never equal. */
export function extent(values: readonly number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!Number.isFinite(low)) return [0, 1];
  // a range close to the precision of doubles has no room for ticks
  const flat = high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high));
  const margin = flat ? Math.max(0.5, Math.abs(low) * 0.1) : (high - low) * 0.04;
  return [low - margin, high + margin];
}

export const fixed = (value: number): number => Math.round(value * 10) / 10;

/** @param content drawn in a box of WIDTH × HEIGHT by default @param name description for screen readers */
export function svg(
  content: string,
  name: string,
  [width, height]: readonly [number, number] = [WIDTH, HEIGHT],
): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(name)}">${content}</svg>`;
}

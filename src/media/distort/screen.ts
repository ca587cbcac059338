/** Pictures on a drawn screen: a window with controls, lines of pseudo-text and icons. No fonts are used. */
import { mulberry32 } from '../../base/random.js';
import type { RawPicture } from '../resample/resample.js';
import { between, oneOf } from './pixels.js';

type Colour = readonly [number, number, number];

interface Theme {
  readonly desk: Colour;
  readonly panel: Colour;
  readonly line: Colour;
  readonly text: Colour;
  readonly accent: Colour;
}

/** What draws: the picture that is drawn on, the size of a stroke in pixels, colours, and random numbers. */
interface Pen {
  readonly canvas: RawPicture;
  readonly unit: number;
  readonly theme: Theme;
  readonly random: () => number;
}

/** A rectangle in pixels of the canvas. */
interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Puts a picture on a screen. The same seed gives the same screen. The result is larger than the picture. */
export function onScreen(picture: RawPicture, seed: number): RawPicture {
  const random = mulberry32(seed);
  const unit = Math.max(1, Math.round(Math.min(picture.width, picture.height) / between(random, 160, 420)));
  const theme = drawTheme(random);
  const [bar, side, foot] = [
    14 * unit,
    oneOf(random, [0, 0, 40, 90, 200]) * unit,
    oneOf(random, [0, 12, 50, 130]) * unit,
  ];
  const margin = Math.round(between(random, 0, 12) * unit);
  const pad = Math.round(between(random, 0, 8) * unit);
  const width = picture.width + side + 2 * (margin + pad);
  const height = picture.height + bar + foot + 2 * (margin + pad);
  const canvas = { width, height, data: new Uint8Array(3 * width * height) };
  const pen = { canvas, unit, theme, random };
  const window = { left: margin, top: margin, width: width - 2 * margin, height: height - 2 * margin };
  const [below, inner] = [margin + bar, picture.height + 2 * pad];
  fill(canvas, { left: 0, top: 0, width, height }, theme.desk);
  fill(canvas, window, theme.panel);
  drawBar(pen, { ...window, height: bar });
  if (side > 0) drawSide(pen, { left: margin, top: below, width: side, height: inner });
  place(canvas, picture, margin + side + pad, below + pad);
  if (foot > 0)
    drawText(pen, {
      left: margin + 4 * unit,
      top: below + inner + 3 * unit,
      width: window.width - 8 * unit,
      height: foot - 4 * unit,
    });
  return canvas;
}

function drawTheme(random: () => number): Theme {
  const dark = random() < 0.45;
  const shade = (level: number): Colour => {
    const value = dark ? 255 - level : level;
    return [value, value, Math.min(255, value + 4)];
  };
  const accent: Colour = [between(random, 20, 240), between(random, 20, 240), between(random, 20, 240)];
  const desk: Colour = [between(random, 10, 220), between(random, 10, 220), between(random, 10, 220)];
  return {
    desk,
    panel: shade(between(random, 232, 255)),
    line: shade(205),
    text: shade(between(random, 20, 80)),
    accent,
  };
}

function drawBar(pen: Pen, box: Box): void {
  const { canvas, unit, theme } = pen;
  fill(canvas, box, theme.line);
  const size = 5 * unit;
  const top = box.top + Math.floor((box.height - size) / 2);
  for (let k = 0; k < 3; k++)
    disc(canvas, box.left + (4 + 9 * k) * unit, top, size, k === 0 ? theme.accent : theme.text);
  const width = Math.min(box.width - 60 * unit, 120 * unit);
  drawText(pen, { left: box.left + 40 * unit, top, width, height: size + 1 });
}

function drawSide(pen: Pen, { left, top, width, height }: Box): void {
  const { canvas, unit, theme, random } = pen;
  fill(canvas, { left: left + width - unit, top, width: unit, height }, theme.line);
  const step = 14 * unit;
  for (let y = top + 4 * unit; y + step < top + height; y += step) {
    const colour: Colour = [between(random, 30, 230), between(random, 30, 230), between(random, 30, 230)];
    (random() < 0.5 ? disc : square)(canvas, left + 4 * unit, y, 8 * unit, random() < 0.5 ? theme.accent : colour);
    drawText(pen, { left: left + 16 * unit, top: y + 2 * unit, width: width - 22 * unit, height: 6 * unit });
  }
}

/** Lines of words. A letter is a drawn pattern of strokes in a cell of 3 × 5 units. */
function drawText({ canvas, unit, theme, random }: Pen, { left, top, width, height }: Box): void {
  for (let y = top; y + 5 * unit <= top + height; y += 8 * unit) {
    const end = left + width * between(random, 0.5, 1);
    for (let x = left; x + 4 * unit <= end; x += 4 * unit) {
      if (random() < 0.18) continue; // a space
      const strokes = 1 + Math.floor(random() * 0x7fff);
      for (let cell = 0; cell < 15; cell++)
        if ((strokes >> cell) & 1)
          square(canvas, x + (cell % 3) * unit, y + Math.floor(cell / 3) * unit, unit, theme.text);
    }
  }
}

/** Fills a rectangle. Parts outside of the canvas are cut. */
function fill(canvas: RawPicture, { left, top, width, height }: Box, colour: Colour): void {
  const [right, bottom] = [Math.min(canvas.width, left + width), Math.min(canvas.height, top + height)];
  for (let y = Math.max(0, top); y < bottom; y++)
    for (let x = Math.max(0, left); x < right; x++) canvas.data.set(colour, 3 * (y * canvas.width + x));
}

const square = (canvas: RawPicture, left: number, top: number, size: number, colour: Colour): void =>
  fill(canvas, { left, top, width: size, height: size }, colour);

function disc(canvas: RawPicture, left: number, top: number, size: number, colour: Colour): void {
  for (let y = 0; y < size; y++) {
    const half = Math.sqrt(Math.max(0, (size / 2) ** 2 - (y + 0.5 - size / 2) ** 2));
    const from = Math.round(size / 2 - half);
    fill(canvas, { left: left + from, top: top + y, width: size - 2 * from, height: 1 }, colour);
  }
}

function place(canvas: RawPicture, { width, height, data }: RawPicture, left: number, top: number): void {
  for (let y = 0; y < height; y++)
    canvas.data.set(data.subarray(3 * y * width, 3 * (y + 1) * width), 3 * ((top + y) * canvas.width + left));
}

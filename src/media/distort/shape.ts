/** Crops and reduced copies: the same picture in another shape or size. */
import { between } from './pixels.js';

/** A part of a picture, and its scale. All numbers are shares of the width or height, or factors up to 1. */
export interface Shape {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly scale: number;
}

interface Sides {
  readonly width: number;
  readonly height: number;
}

const WHOLE: Shape = { left: 0, top: 0, width: 1, height: 1, scale: 1 };
/** Shapes keep at least this many pixels on their shorter side, if the picture has them. */
const LEAST_SIDE = 96;

/** A crop to a shape from 1:2 to 2:1, a reduction by 0.4 to 1, or both. For pictures that are distorted afterwards. */
export function drawSeriesShape(sides: Sides, random: () => number): Shape {
  const [choice, shape, reduce] = [random(), 2 ** between(random, -1, 1), between(random, 0.4, 1)];
  const [x, y] = [random(), random()];
  const crop = choice < 0.7 ? cropTo(sides, shape, 1, x, y) : WHOLE;
  return { ...crop, scale: choice < 0.4 ? 1 : leastScale(sides, crop, reduce) };
}

/**
 * A crop or a reduction by 0.45 to 1. Both keep the rating of the picture. A crop keeps at least 70 % of the area, and
 * has a shape from 2:3 to 3:2 where that is possible.
 */
export function drawRatedShape(sides: Sides, random: () => number): Shape {
  const [crops, at, reduce] = [random() < 0.5, random(), between(random, 0.45, 1)];
  const [x, y, area] = [random(), random(), between(random, 0.7, 1)];
  if (!crops) return { ...WHOLE, scale: leastScale(sides, WHOLE, reduce) };
  const own = sides.width / sides.height;
  const [low, high] = [Math.max(own * 0.7, 2 / 3), Math.min(own / 0.7, 3 / 2)];
  const shape = low <= high ? low * (high / low) ** at : own;
  return cropTo(sides, shape, area, x, y);
}

/** The largest crop of a shape (width / height), reduced to `area` of the picture if it is larger than that. */
function cropTo({ width, height }: Sides, shape: number, area: number, x: number, y: number): Shape {
  const own = width / height;
  const [wide, high] = [Math.min(1, shape / own), Math.min(1, own / shape)];
  const shrink = Math.min(1, Math.sqrt(area / (wide * high)));
  const [w, h] = [wide * shrink, high * shrink];
  return { left: x * (1 - w), top: y * (1 - h), width: w, height: h, scale: 1 };
}

function leastScale({ width, height }: Sides, crop: Shape, scale: number): number {
  return Math.min(1, Math.max(scale, LEAST_SIDE / Math.min(width * crop.width, height * crop.height)));
}

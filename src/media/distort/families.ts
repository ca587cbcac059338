/** Names and strengths of the distortions: no pixels here, so that recipes and commands can read them at no cost. */

/** Increase it with every change of the pixels of a family, so that prepared training data are made again. */
export const DISTORTIONS_VERSION = 2;

interface Range {
  /** The mildest and the worst strength. */
  readonly mild: number;
  readonly worst: number;
  readonly unit: string;
}

/** The families of the first qalign-nano. They are the default of recipes. */
const BASIC = {
  jpeg: { mild: 85, worst: 5, unit: 'encoder quality' },
  webp: { mild: 85, worst: 2, unit: 'encoder quality' },
  blur: { mild: 0.6, worst: 7, unit: 'standard deviation in pixels' },
  motion_blur: { mild: 3, worst: 40, unit: 'length in pixels' },
  noise: { mild: 3, worst: 60, unit: 'standard deviation in levels (0 to 255)' },
  darken: { mild: 0.85, worst: 0.1, unit: 'factor of all levels' },
  contrast: { mild: 0.8, worst: 0.1, unit: 'factor of the distance from middle grey' },
  resample: { mild: 1.4, worst: 10, unit: 'factor of reducing and enlarging' },
} as const satisfies Record<string, Range>;

const OTHERS = {
  upscale: { mild: 1.5, worst: 8, unit: 'factor of reducing and enlarging, with two drawn kernels' },
  enlarge: { mild: 1.3, worst: 4, unit: 'factor of the lost detail; the result is larger than the picture' },
  chain: { mild: 2, worst: 10, unit: 'number of small resizes' },
  sharpen: { mild: 2, worst: 9, unit: 'amount of an unsharp mask' },
  ringing: { mild: 3.2, worst: 12, unit: 'shortest period in pixels that an ideal low-pass filter keeps' },
  wavelet: { mild: 12, worst: 220, unit: 'quantisation step of wavelet coefficients in levels' },
  denoise: { mild: 6, worst: 40, unit: 'contrast in levels that a guided filter smooths' },
  smear: { mild: 1, worst: 7, unit: 'radius in pixels of a Kuwahara filter' },
  banding: { mild: 20, worst: 3, unit: 'levels of each channel' },
  salt: { mild: 0.002, worst: 0.25, unit: 'share of pixels that are replaced' },
  checkerboard: { mild: 4, worst: 60, unit: 'amplitude in levels of a pattern of 2 to 8 pixels' },
  texture: { mild: 4, worst: 36, unit: 'standard deviation in levels of false texture' },
  chroma: { mild: 3, worst: 32, unit: 'pixels that share their colour, on each side' },
  colour_cast: { mild: 0.08, worst: 0.7, unit: 'logarithm of the largest gain of a channel' },
  saturate: { mild: 1.8, worst: 7, unit: 'factor of the distance from grey' },
  overexpose: { mild: 0.12, worst: 0.95, unit: 'share of the pixels that clip' },
  haze: { mild: 0.15, worst: 0.88, unit: 'share of the light of the haze' },
  warp: { mild: 0.008, worst: 0.05, unit: 'displacement as a share of the shorter side' },
  patches: { mild: 0.02, worst: 0.6, unit: 'share of the picture in displaced blocks' },
  mixture: { mild: 0.15, worst: 1, unit: 'place of two or three drawn families in their ranges' },
} as const satisfies Record<string, Range>;

export type BasicFamily = keyof typeof BASIC;
/** A kind of distortion. */
export type Family = BasicFamily | keyof typeof OTHERS;

/** Ranges of strength. Strengths between `mild` and `worst` are spaced geometrically. */
export const STRENGTHS: Readonly<Record<Family, Range>> = { ...BASIC, ...OTHERS };
export const FAMILIES = Object.keys(STRENGTHS) as readonly Family[];
export const BASIC_FAMILIES = Object.keys(BASIC) as readonly BasicFamily[];

/** Returns the strength at `place`, from 0 (mildest) to 1 (worst). */
export function strengthAt(family: Family, place: number): number {
  const { mild, worst } = STRENGTHS[family];
  return mild * (worst / mild) ** place;
}

import { mulberry32, shuffled } from '../../base/random.js';
import type { RawPicture } from '../resample/resample.js';
import { distortBasic } from './basic.js';
import { banding, chroma, colourCast, haze, overexpose, saturate } from './colour.js';
import { ringing, sharpen } from './edges.js';
import { FAMILIES, strengthAt, type BasicFamily, type Family } from './families.js';
import { patches, warp } from './geometry.js';
import { checkerboard, salt, texture } from './pattern.js';
import { chain, enlarge, upscale } from './scale.js';
import { denoise, smear } from './smooth.js';
import { wavelet } from './wavelet.js';

type Apply = (picture: RawPicture, strength: number, random: () => number) => RawPicture | Promise<RawPicture>;

const APPLY: Readonly<Record<Exclude<Family, BasicFamily | 'mixture'>, Apply>> = {
  upscale,
  enlarge,
  chain,
  sharpen,
  ringing,
  wavelet,
  denoise,
  smear,
  banding,
  salt,
  checkerboard,
  texture,
  chroma,
  colour_cast: colourCast,
  saturate,
  overexpose,
  haze,
  warp,
  patches,
};

const isOther = (family: Family): family is keyof typeof APPLY => family in APPLY;

/**
 * Returns a distorted copy of a picture. The same arguments give the same pixels. The size is the same, except for
 * `enlarge`.
 *
 * @param strength in the unit of STRENGTHS
 * @param seed of noise, directions, kernels and patterns; pictures of one series share it
 * @param among families that a mixture is drawn from; default: all
 */
export async function distort(
  picture: RawPicture,
  family: Family,
  strength: number,
  seed = 0,
  among: readonly Family[] = FAMILIES,
): Promise<RawPicture> {
  if (family === 'mixture') return mix(picture, strength, seed, among);
  if (isOther(family)) return APPLY[family](picture, strength, mulberry32(seed));
  return distortBasic(picture, family, strength, seed);
}

/** Applies two or three drawn families in a drawn order, all at the same place of their ranges. */
async function mix(picture: RawPicture, place: number, seed: number, among: readonly Family[]): Promise<RawPicture> {
  const random = mulberry32(seed);
  const count = random() < 0.6 ? 2 : 3;
  const single = among.filter((family) => family !== 'mixture');
  let mixed = picture;
  for (const family of shuffled(single, random).slice(0, count))
    mixed = await distort(mixed, family, strengthAt(family, place), Math.floor(random() * 2 ** 32));
  return mixed;
}

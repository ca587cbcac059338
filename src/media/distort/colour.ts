/** Distortions of colour and tone. */
import type { RawPicture } from '../resample/resample.js';
import { between, lumaOf, mapped, oneOf, resized, scaled } from './pixels.js';

/** Multiplies the channels by gains towards a drawn hue. */
export function colourCast(picture: RawPicture, strength: number, random: () => number): RawPicture {
  const hue = between(random, 0, 2 * Math.PI);
  const gains = [0, 1, 2].map((channel) => Math.exp(strength * Math.cos(hue - (2 * Math.PI * channel) / 3)));
  return mapped(picture, (i) => picture.data[i]! * gains[i % 3]!);
}

export function saturate(picture: RawPicture, factor: number): RawPicture {
  const luma = lumaOf(picture);
  return mapped(picture, (i) => {
    const grey = luma[Math.floor(i / 3)]!;
    return grey + factor * (picture.data[i]! - grey);
  });
}

/** Multiplies all levels so that `share` of the pixels clip, without those that are white already. */
export function overexpose(picture: RawPicture, share: number): RawPicture {
  const counts = new Float64Array(250);
  for (const luma of lumaOf(picture)) if (luma < counts.length) counts[Math.floor(luma)]! += 1;
  let left = share * counts.reduce((a, b) => a + b, 0);
  let level = counts.length - 1;
  for (; level > 1 && left > counts[level]!; level--) left -= counts[level]!;
  const gain = 255 / (level + 1 - left / Math.max(1, counts[level]!));
  return mapped(picture, (i) => picture.data[i]! * gain);
}

/** Mixes in light of a drawn shade of grey, more at the top, where the distance is usually largest. */
export function haze(picture: RawPicture, share: number, random: () => number): RawPicture {
  const light = [0, 1, 2].map(() => between(random, 195, 230));
  const [row, depth] = [picture.width * 3, between(random, 0, 0.4)];
  const shares = Float64Array.from(
    { length: picture.height },
    (_, y) => share ** (1 + depth * (y / picture.height - 0.5)),
  );
  return mapped(picture, (i) => picture.data[i]! + shares[Math.floor(i / row)]! * (light[i % 3]! - picture.data[i]!));
}

/** Rounds each channel to `levels` evenly spaced levels. `levels` need not be whole. */
export function banding(picture: RawPicture, levels: number): RawPicture {
  const step = 255 / (levels - 1);
  return mapped(picture, (i) => step * Math.round(picture.data[i]! / step));
}

/** Colours for only one of `side` × `side` pixels, shifted, under the unchanged luma; and blotches of colour noise. */
export async function chroma(picture: RawPicture, side: number, random: () => number): Promise<RawPicture> {
  const { width, height } = picture;
  const cell = Math.max(1.2, scaled(picture, side));
  const kernel = oneOf(random, ['nearest', 'linear', 'cubic'] as const);
  const [angle, amount] = [between(random, 0, 2 * Math.PI), side * between(random, 0.6, 1.6)];
  const few = await resized(picture, width / cell, height / cell, 'linear');
  const soft = await resized(few, width, height, kernel);
  const [luma, softLuma] = [lumaOf(picture), lumaOf(soft)];
  const [right, down] = [Math.cos(angle), Math.sin(angle)].map((part) => Math.round(part * cell * 0.4)) as [
    number,
    number,
  ];
  const noise = await blotches(width, height, Math.max(1, scaled(picture, between(random, 1, 3))), random);
  const out = new Uint8ClampedArray(picture.data.length);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.min(height - 1, Math.max(0, y + down)) * width;
    for (let x = 0; x < width; x++, at++) {
      const from = row + Math.min(width - 1, Math.max(0, x + right));
      const grey = luma[at]! - softLuma[from]!;
      const [red, blue] = [amount * noise[2 * at]!, amount * noise[2 * at + 1]!];
      out[3 * at] = soft.data[3 * from]! + grey + red;
      out[3 * at + 1] = soft.data[3 * from + 1]! + grey - 0.51 * red - 0.19 * blue; // the luma stays
      out[3 * at + 2] = soft.data[3 * from + 2]! + grey + blue;
    }
  }
  return { width, height, data: new Uint8Array(out.buffer) };
}

/** Two planes of smooth noise with a standard deviation near 1, interleaved. */
async function blotches(width: number, height: number, size: number, random: () => number): Promise<Float32Array> {
  const [w, h] = [Math.max(1, Math.ceil(width / size)), Math.max(1, Math.ceil(height / size))];
  const coarse = { width: w, height: h, data: new Uint8Array(w * h * 3) };
  for (let at = 0; at < coarse.data.length; at++) if (at % 3 < 2) coarse.data[at] = Math.floor(256 * random());
  const fine = (await resized(coarse, width, height, 'cubic')).data;
  const planes = new Float32Array(2 * width * height);
  for (let i = 0; i < planes.length; i++) planes[i] = (fine[3 * (i >> 1) + (i & 1)]! - 127.5) / 62;
  return planes;
}

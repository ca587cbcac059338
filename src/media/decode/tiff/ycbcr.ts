/**
 * Two fixed-point conversions of YCbCr (full range, 8 bits) to RGB that differ in rounding. Both change `data` in
 * place.
 */

type Convert = (data: Uint8Array) => void;

const clip = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value);
const table = (entry: (offset: number) => number): Int32Array =>
  Int32Array.from({ length: 256 }, (_, i) => entry(i - 128));

interface Tables {
  readonly redOfCr: Int32Array;
  readonly greenOfCb: Int32Array;
  readonly greenOfCr: Int32Array;
  readonly blueOfCb: Int32Array;
  readonly shift: number;
}

const makeConvert =
  ({ redOfCr, greenOfCb, greenOfCr, blueOfCb, shift }: Tables): Convert =>
  (data) => {
    for (let i = 0; i + 2 < data.length; i += 3) {
      const y = data[i] ?? 0;
      const cb = data[i + 1] ?? 0;
      const cr = data[i + 2] ?? 0;
      data[i] = clip(y + ((redOfCr[cr] ?? 0) >> shift));
      data[i + 1] = clip(y + (((greenOfCb[cb] ?? 0) + (greenOfCr[cr] ?? 0)) >> shift));
      data[i + 2] = clip(y + ((blueOfCb[cb] ?? 0) >> shift));
    }
  };

const sixBits = (factor: number): Int32Array => table((offset) => Math.trunc(factor * 64 * offset + 0.5));

/** The rounding of Pillow's `convert('RGB')`: tables with 6 fraction bits. */
export const pillowYcbcrToRgb: Convert = makeConvert({
  redOfCr: sixBits(1.402),
  greenOfCb: sixBits(-0.34414),
  greenOfCr: sixBits(-0.71414),
  blueOfCb: sixBits(1.772),
  shift: 6,
});

const HALF = 1 << 15;

/** The rounding of libtiff with the usual reference black and white: tables with 16 fraction bits. */
export const libtiffYcbcrToRgb: Convert = makeConvert({
  redOfCr: table((offset) => 91881 * offset + HALF),
  greenOfCb: table((offset) => -22553 * offset + HALF),
  greenOfCr: table((offset) => -46802 * offset),
  blueOfCb: table((offset) => 116130 * offset + HALF),
  shift: 16,
});

/** Palette for pictures without a palette: all black, as in Pillow. */
const BLACK = new Uint8Array(768);

interface Chunk {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** Defects that libspng refuses and Pillow accepts. */
export interface PngFaults {
  /** A critical chunk of an unknown type is before the pixels. */
  readonly unknownCritical: boolean;
  /** A palette picture has no palette, two palettes, or a palette whose length is not a multiple of 3. */
  readonly oddPalette: boolean;
  readonly noPalette: boolean;
}

const KNOWN = ['IHDR', 'PLTE', 'IDAT', 'IEND'];

function chunksOf(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Chunk[] = [];
  for (let at = 8; at + 12 <= bytes.length;) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const end = Math.min(at + 12 + view.getUint32(at), bytes.length);
    found.push({ type, start: at, end });
    if (type === 'IEND') break;
    at = end;
  }
  return found;
}

const length = ({ start, end }: Chunk): number => end - start - 12;
const isUnknownCritical = ({ type }: Chunk): boolean => /^[A-Z0-9_]\w{3}$/.test(type) && !KNOWN.includes(type);

export function findPngFaults(bytes: Uint8Array, colourType: number): PngFaults {
  const chunks = chunksOf(bytes);
  const firstData = chunks.findIndex(({ type }) => type === 'IDAT');
  const before = firstData < 0 ? chunks : chunks.slice(0, firstData);
  const palettes = before.filter(({ type }) => type === 'PLTE');
  const noPalette = colourType === 3 && (palettes.length === 0 || palettes.every((one) => length(one) < 3));
  return {
    unknownCritical: before.some(isUnknownCritical),
    noPalette,
    oddPalette: noPalette || (colourType === 3 && (palettes.length > 1 || palettes.some((one) => length(one) % 3 > 0))),
  };
}

/** Rewrites the chunks so that every decoder accepts them. Keeps only the last palette, cut to complete colours. */
export function repairPng(
  bytes: Uint8Array,
  crc32: (bytes: Uint8Array, from: number, to: number) => number,
): Uint8Array {
  const all = chunksOf(bytes);
  const data = all.findIndex(({ type }) => type === 'IDAT');
  const chunks = all.filter((one, i) => i >= data || !isUnknownCritical(one));
  const firstData = chunks.findIndex(({ type }) => type === 'IDAT');
  const palette = chunks.slice(0, Math.max(firstData, 0)).findLast((one) => one.type === 'PLTE' && length(one) >= 3);
  const colours =
    palette === undefined
      ? BLACK
      : bytes.subarray(palette.start + 8, palette.start + 8 + Math.floor(length(palette) / 3) * 3);
  const isPalette = (bytes[25] ?? 0) === 3;
  const parts = chunks.flatMap((one, i) => [
    ...(isPalette && i === firstData ? [chunk('PLTE', colours, crc32)] : []),
    ...(isPalette && one.type === 'PLTE' ? [] : [bytes.subarray(one.start, one.end)]),
  ]);
  return Buffer.concat([bytes.subarray(0, 8), ...parts]);
}

function chunk(
  type: string,
  data: Uint8Array,
  crc32: (bytes: Uint8Array, from: number, to: number) => number,
): Uint8Array {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  out.set(data, 8);
  out.writeUInt32BE(crc32(out, 4, 8 + data.length), 8 + data.length);
  return out;
}

import type { RawPicture } from '../resample/resample.js';

/** How an AVIF file wants its picture shown: quarter turns counter-clockwise, then a mirror. */
export interface AvifTurn {
  readonly quarters: number;
  /** 0: mirrored top to bottom, 1: left to right. */
  readonly mirror: number | undefined;
}

interface Box {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

function boxes(view: DataView, from: number, to: number): Box[] {
  const found: Box[] = [];
  for (let at = from; at + 8 <= to;) {
    const short = view.getUint32(at);
    const header = short === 1 ? 16 : 8;
    const size = short === 0 ? to - at : short === 1 && at + 16 <= to ? Number(view.getBigUint64(at + 8)) : short;
    if (size < header || at + size > to) break;
    const type = String.fromCharCode(...[4, 5, 6, 7].map((i) => view.getUint8(at + i)));
    found.push({ type, start: at + header, end: at + size });
    at += size;
  }
  return found;
}

/** Numbers (from 1) of the properties of item `id` in an `ipma` box. */
function associated(view: DataView, { start, end }: Box, id: number): number[] {
  const wideId = view.getUint8(start) > 0;
  const wideIndex = (view.getUint8(start + 3) & 1) === 1;
  let at = start + 8;
  for (let entry = view.getUint32(start + 4); entry > 0 && at < end; entry--) {
    const item = wideId ? view.getUint32(at) : view.getUint16(at);
    at += wideId ? 4 : 2;
    const count = view.getUint8(at++);
    const indices = Array.from({ length: count }, (_, i) =>
      wideIndex ? view.getUint16(at + i * 2) & 0x7fff : view.getUint8(at + i) & 0x7f,
    );
    if (item === id) return indices;
    at += count * (wideIndex ? 2 : 1);
  }
  return [];
}

/** Reads `irot` and `imir` of the primary item; a file whose boxes do not parse has none. */
export function readAvifTurn(bytes: Uint8Array): AvifTurn {
  const none: AvifTurn = { quarters: 0, mirror: undefined };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const meta = boxes(view, 0, view.byteLength).find((box) => box.type === 'meta');
    if (meta === undefined) return none;
    const inner = boxes(view, meta.start + 4, meta.end);
    const primary = inner.find((box) => box.type === 'pitm');
    const properties = inner.find((box) => box.type === 'iprp');
    if (primary === undefined || properties === undefined) return none;
    const id = view.getUint8(primary.start) > 0 ? view.getUint32(primary.start + 4) : view.getUint16(primary.start + 4);
    const [container, association] = ['ipco', 'ipma'].map((type) =>
      boxes(view, properties.start, properties.end).find((box) => box.type === type),
    );
    if (container === undefined || association === undefined) return none;
    const list = boxes(view, container.start, container.end);
    const own = associated(view, association, id).flatMap((index) => list[index - 1] ?? []);
    const irot = own.find((box) => box.type === 'irot');
    const imir = own.find((box) => box.type === 'imir');
    return {
      quarters: irot === undefined ? 0 : view.getUint8(irot.start) & 3,
      mirror: imir === undefined ? undefined : view.getUint8(imir.start) & 1,
    };
  } catch {
    return none;
  }
}

/** Builds a picture whose pixel (x, y) is pixel `from(x, y)` of `picture`. */
function remap(picture: RawPicture, width: number, height: number, from: (x: number, y: number) => number): RawPicture {
  const data = new Uint8Array(picture.data.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const at = from(x, y) * 3;
      data[to] = picture.data[at] ?? 0;
      data[to + 1] = picture.data[at + 1] ?? 0;
      data[to + 2] = picture.data[at + 2] ?? 0;
    }
  }
  return { width, height, data };
}

/** Takes back what libheif applied, since Pillow applies neither. */
export function undoAvifTurn(picture: RawPicture, turn: AvifTurn): RawPicture {
  const { width: w, height: h } = picture;
  let out = picture;
  if (turn.mirror === 0) out = remap(out, w, h, (x, y) => (h - 1 - y) * w + x);
  if (turn.mirror === 1) out = remap(out, w, h, (x, y) => y * w + w - 1 - x);
  // turning clockwise undoes quarters that went the other way
  if (turn.quarters === 1) return remap(out, h, w, (x, y) => (h - 1 - x) * w + y);
  if (turn.quarters === 2) return remap(out, w, h, (x, y) => (h - 1 - y) * w + w - 1 - x);
  if (turn.quarters === 3) return remap(out, h, w, (x, y) => x * w + w - 1 - y);
  return out;
}

import type { RawPicture } from '../resample/resample.js';
import { remap } from './turn.js';

/** The display transform of an AVIF file: quarter turns counter-clockwise, then a mirror. */
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

/** Returns the indices (from 1) of the properties of item `id` in an `ipma` box. */
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

/** Returns the properties of the primary item, or an empty list if the boxes cannot be parsed. */
function primaryProperties(view: DataView): Box[] {
  try {
    const meta = boxes(view, 0, view.byteLength).find((box) => box.type === 'meta');
    if (meta === undefined) return [];
    const inner = boxes(view, meta.start + 4, meta.end);
    const primary = inner.find((box) => box.type === 'pitm');
    const properties = inner.find((box) => box.type === 'iprp');
    if (primary === undefined || properties === undefined) return [];
    const id = view.getUint8(primary.start) > 0 ? view.getUint32(primary.start + 4) : view.getUint16(primary.start + 4);
    const [container, association] = ['ipco', 'ipma'].map((type) =>
      boxes(view, properties.start, properties.end).find((box) => box.type === type),
    );
    if (container === undefined || association === undefined) return [];
    const list = boxes(view, container.start, container.end);
    return associated(view, association, id).flatMap((index) => list[index - 1] ?? []);
  } catch {
    return [];
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Reads `irot` and `imir` of the primary item. If the boxes cannot be parsed, there is no transform. */
export function readAvifTurn(bytes: Uint8Array): AvifTurn {
  const view = viewOf(bytes);
  const own = primaryProperties(view);
  const irot = own.find((box) => box.type === 'irot' && box.end > box.start);
  const imir = own.find((box) => box.type === 'imir' && box.end > box.start);
  return {
    quarters: irot === undefined ? 0 : view.getUint8(irot.start) & 3,
    mirror: imir === undefined ? undefined : view.getUint8(imir.start) & 1,
  };
}

/** Returns true for grey without colour planes in limited range: 16 is black and 235 is white. */
export function isLimitedGrey(bytes: Uint8Array): boolean {
  const view = viewOf(bytes);
  const own = primaryProperties(view);
  const av1 = own.find((box) => box.type === 'av1C' && box.end - box.start >= 3);
  if (av1 === undefined || (view.getUint8(av1.start + 2) & 0x10) === 0) return false;
  const nclx = own.find(
    (box) => box.type === 'colr' && box.end - box.start >= 11 && view.getUint32(box.start) === 0x6e636c78,
  );
  return nclx !== undefined && (view.getUint8(nclx.start + 10) & 0x80) === 0;
}

/** Stretches limited range, 16 … 235, to 0 … 255 in place. libheif does this for colours but not for grey. */
export function stretchLevels({ data }: RawPicture): void {
  const table = Uint8Array.from({ length: 256 }, (_, v) => Math.min(255, Math.max(0, ((v - 16) * 255) / 219 + 0.5)));
  for (let i = 0; i < data.length; i++) data[i] = table[data[i] ?? 0] ?? 0;
}

/** Undoes the transform that libheif applied, because Pillow does not apply it. */
export function undoAvifTurn(picture: RawPicture, turn: AvifTurn): RawPicture {
  const { width: w, height: h } = picture;
  let out = picture;
  if (turn.mirror === 0) out = remap(out, w, h, (x, y) => (h - 1 - y) * w + x);
  if (turn.mirror === 1) out = remap(out, w, h, (x, y) => y * w + w - 1 - x);
  // libheif turned counter-clockwise, so this turns clockwise
  if (turn.quarters === 1) return remap(out, h, w, (x, y) => (h - 1 - x) * w + y);
  if (turn.quarters === 2) return remap(out, w, h, (x, y) => (h - 1 - y) * w + w - 1 - x);
  if (turn.quarters === 3) return remap(out, h, w, (x, y) => x * w + w - 1 - y);
  return out;
}

import { corrupt } from './decode-error.js';

const MAX_CODES = 4096;

/** Reads bits from a chain of GIF data blocks. It stops at the end of the file, not at the empty block. */
function createBitReader(bytes: Uint8Array, start: number): (bits: number) => number | undefined {
  let at = start;
  let left = 0;
  let buffer = 0;
  let held = 0;
  return (bits) => {
    while (held < bits) {
      if (left === 0) {
        left = bytes[at++] ?? -1;
        // a block that the end of the file cuts off counts as absent, as in Pillow
        if (left < 0 || at + left > bytes.length) return undefined;
        continue;
      }
      buffer |= (bytes[at++] ?? 0) << held;
      held += 8;
      left--;
    }
    const code = buffer & ((1 << bits) - 1);
    buffer >>>= bits;
    held -= bits;
    return code;
  };
}

/**
 * Decodes GIF's LZW to `count` palette indices. The code size is at `start`.
 *
 * @throws QalignError MEDIA_CORRUPT if a code is invalid or the data end early
 */
export function decodeLzw(bytes: Uint8Array, start: number, count: number): Uint8Array {
  const minimum = bytes[start] ?? 0;
  if (minimum > 12) throw corrupt('GIF', `has an LZW code size of ${minimum}`);
  const read = createBitReader(bytes, start + 1);
  const clear = 1 << minimum;
  const out = new Uint8Array(count);
  const last = new Uint8Array(MAX_CODES);
  const link = new Uint16Array(MAX_CODES);
  const lengths = new Uint32Array(MAX_CODES);
  let next = clear + 2;
  let bits = minimum + 1;
  let previous = -1;
  let length = 0;
  while (length < count) {
    const code = read(bits);
    if (code === undefined || code === clear + 1) throw corrupt('GIF', 'ends before its last pixel');
    if (code === clear) {
      next = clear + 2;
      bits = minimum + 1;
      previous = -1;
      continue;
    }
    if (previous < 0 ? code > clear : code > next) throw corrupt('GIF', 'contains an undefined LZW code');
    if (previous < 0) {
      out[length++] = code;
      previous = code;
      continue;
    }
    // the next code stands for the previous string followed by its own first value
    const known = code === next ? previous : code;
    const run = known < clear ? 1 : (lengths[known] ?? 0);
    let value = known;
    for (let to = length + run - 1; value >= clear; value = link[value] ?? 0, to--) {
      if (to < count) out[to] = last[value] ?? 0;
    }
    out[length] = value;
    length += run;
    if (code === next && length < count) out[length] = value;
    if (code === next) length++;
    if (next < MAX_CODES) {
      last[next] = value;
      link[next] = previous;
      lengths[next] = (previous < clear ? 1 : (lengths[previous] ?? 0)) + 1;
      if (next === (1 << bits) - 1 && bits < 12) bits++;
      next++;
    }
    previous = code;
  }
  return out;
}

/**
 * Detects clip formats without a fixed string at the start. Start codes also occur in other binary files. Therefore
 * each stream must begin with the headers that its decoder needs, with values that the standard allows.
 *
 * @param bytes the start of the file
 * @returns `h264`, `hevc`, `m4v`, `obu`, `dv`, `mpeg-ps` or `mpeg-ts`
 */
export function sniffBareStream(bytes: Uint8Array): string | undefined {
  if (isTransportStream(bytes)) return 'mpeg-ts';
  if (isDv(bytes)) return 'dv';
  if (isObuStream(bytes)) return 'obu';
  const units = startCodes(bytes);
  if (units[0] === undefined || units[0] > 4) return undefined; // at most one zero byte before the start code
  if (isProgramStream(bytes, units)) return 'mpeg-ps';
  if (isMpeg4(bytes, units)) return 'm4v';
  if (isHevc(bytes, units)) return 'hevc';
  return isH264(bytes, units) ? 'h264' : undefined;
}

/**
 * Checks the sync bytes of four consecutive packets at the start of the file, or of eight if the file begins within a
 * packet. The packet headers must be valid and differ, because packets are numbered; headers in periodic text are
 * equal. At the start of the file, one header that is not text is enough.
 */
function isTransportStream(bytes: Uint8Array): boolean {
  return [188, 192, 204].some((step) => {
    for (let first = 0; first < step; first++) {
      const starts = [];
      for (let at = first; at + 3 < bytes.length && starts.length < 8; at += step) starts.push(at);
      const aligned = first === 0 || (step === 192 && first === 4);
      if (starts.length < (aligned ? 3 : 8)) continue;
      const checked = aligned ? starts.slice(0, 4) : starts;
      if (!checked.every((at) => bytes[at] === 0x47)) continue;
      if (aligned && checked.some((at) => (bytes[at + 1] ?? 0) < 0x20 || (bytes[at + 1] ?? 0) > 0x7e)) return true;
      const headers = checked.map((at) => [...bytes.subarray(at + 1, at + 4)].join());
      const valid = checked.every((at) => ((bytes[at + 3] ?? 0) & 0x30) !== 0);
      if (valid && new Set(headers).size > 1) return true;
    }
    return false;
  });
}

/** Digital video: a header block, then the first subcode block of the same sequence. */
function isDv(bytes: Uint8Array): boolean {
  return (
    bytes[0] === 0x1f &&
    bytes[1] === 0x07 &&
    bytes[2] === 0x00 &&
    ((bytes[3] ?? 0) & 0x7f) === 0x3f &&
    ((bytes[80] ?? 0) & 0xe0) === 0x20 &&
    ((bytes[160] ?? 0) & 0xe0) === 0x20 &&
    ((bytes[240] ?? 0) & 0xe0) === 0x40
  );
}

/** AV1: a temporal delimiter, then a sequence header of a known profile. */
function isObuStream(bytes: Uint8Array): boolean {
  const size = bytes[3] ?? 0;
  return (
    bytes[0] === 0x12 && bytes[1] === 0 && bytes[2] === 0x0a && size > 4 && size < 128 && (bytes[4] ?? 0xff) >> 5 < 3
  );
}

/** Returns the offsets after each start code 00 00 01. */
function startCodes(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at + 3 < bytes.length; at++)
    if (bytes[at] === 0 && bytes[at + 1] === 0 && bytes[at + 2] === 1) found.push(at + 3);
  return found;
}

/** An MPEG program stream that begins with a video packet instead of a pack header. */
function isProgramStream(bytes: Uint8Array, [first = 0]: readonly number[]): boolean {
  return ((bytes[first] ?? 0) & 0xf0) === 0xe0 && ((bytes[first + 3] ?? 0) & 0xc0) === 0x80 && first === 3;
}

/** MPEG-4 part 2: a visual object sequence or a video object, then a video object layer. */
function isMpeg4(bytes: Uint8Array, units: readonly number[]): boolean {
  const codes = units.map((at) => bytes[at] ?? 0);
  return (codes[0] === 0xb0 || (codes[0] ?? 0xff) < 0x20) && codes.some((code) => code >= 0x20 && code < 0x30);
}

const H264_PROFILES = new Set([44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 138, 144, 244]);

/**
 * Checks that all units are known. A sequence set of a known profile must precede the first picture and a picture set.
 */
function isH264(bytes: Uint8Array, units: readonly number[]): boolean {
  const types = units.map((at) => ((bytes[at] ?? 0x80) >= 0x80 ? -1 : (bytes[at] ?? 0) & 0x1f));
  const set = types.indexOf(7);
  const first = types.findIndex((type) => type === 1 || type === 5);
  if (set < 0 || types.includes(-1) || types.includes(0) || (first >= 0 && first < set)) return false;
  return H264_PROFILES.has(bytes[(units[set] ?? 0) + 1] ?? 0) && types.indexOf(8) > set;
}

/** Video, sequence and picture parameter sets, all of the base layer. */
function isHevc(bytes: Uint8Array, units: readonly number[]): boolean {
  const types = units.map((at) => {
    const [one = 0x80, two = 0] = [bytes[at], bytes[at + 1]];
    const valid = one < 0x80 && (one & 1) === 0 && two >> 3 === 0 && (two & 7) > 0;
    return valid ? one >> 1 : -1;
  });
  const sets = [32, 33, 34].map((type) => types.indexOf(type));
  return sets.every((at, i) => at >= 0 && at > (sets[i - 1] ?? -1)) && !types.slice(0, (sets[2] ?? 0) + 1).includes(-1);
}

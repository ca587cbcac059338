/**
 * JavaScript values as JSON for Python, which keeps what JSON alone would lose: NaN → {"$float": "nan"}, bytes →
 * {"$bytes": base64}, other typed arrays → lists.
 */
export function toPlain(value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value))
    return { $float: String(value).replace('Infinity', 'inf').replace('NaN', 'nan') };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array)
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  if (ArrayBuffer.isView(value) && Symbol.iterator in value)
    return Array.from(value as unknown as Iterable<unknown>, toPlain);
  if (Array.isArray(value)) return value.map(toPlain);
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toPlain(entry)]));
}

/** The inverse, of what Python answers. */
export function fromPlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromPlain);
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]![0] === '$float')
    return { nan: Number.NaN, inf: Infinity, '-inf': -Infinity }[String(entries[0]![1])];
  if (entries.length === 1 && entries[0]![0] === '$bytes')
    return Uint8Array.from(Buffer.from(String(entries[0]![1]), 'base64'));
  return Object.fromEntries(entries.map(([key, entry]) => [key, fromPlain(entry)]));
}

/**
 * Converts JavaScript values to JSON for Python, with markers for values that JSON lacks. NaN becomes {"$float":
 * "nan"}, bytes {"$bytes": base64}, and other typed arrays become lists.
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

/** The inverse, for the answers of Python. */
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

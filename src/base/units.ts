/** Formats of durations and sizes for all commands. */

/** `42 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatDuration(seconds: number): string {
  const s = wholeSeconds(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${twoDigits(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${twoDigits(Math.floor((s % 3600) / 60))} min`;
}

/** `0:42`, `3:05`, `1:02:05`. */
export function formatClock(seconds: number): string {
  const s = wholeSeconds(seconds);
  const minutes = `${Math.floor(s / 60) % 60}`;
  return s >= 3600
    ? `${Math.floor(s / 3600)}:${minutes.padStart(2, '0')}:${twoDigits(s % 60)}`
    : `${minutes}:${twoDigits(s % 60)}`;
}

/** `0.9 GB`. One GB is 1e9 bytes. */
export function formatGigabytes(bytes: number, digits = 1): string {
  return `${(bytes / 1e9).toFixed(digits)} GB`;
}

/** `12 kB`, `1.5 MB`, `16.0 GB`. */
export function formatBytes(bytes: number): string {
  if (bytes >= 1e9) return formatGigabytes(bytes);
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
}

const wholeSeconds = (seconds: number): number => Math.max(0, Math.round(seconds));
const twoDigits = (value: number): string => String(value).padStart(2, '0');

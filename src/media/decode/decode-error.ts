import { QalignError } from '../../base/errors.js';
import type { DecodeLimits } from '../budget/needs-memory.js';

/** A picture whose bytes do not make sense. `what` completes "The <format> file …". */
export const corrupt = (format: string, what: string, cause?: unknown): QalignError =>
  new QalignError('MEDIA_CORRUPT', `The ${format} file ${what}.`, cause === undefined ? {} : { cause });

/** A picture of a kind that the reference does not read either. */
export const unsupported = (format: string, what: string): QalignError =>
  new QalignError('MEDIA_UNSUPPORTED', `The ${format} file ${what}; convert it to PNG or JPEG.`);

/** What a size is checked against. */
export type SizeLimits = Pick<DecodeLimits, 'maxPixels' | 'afford'>;

/**
 * Refuses empty pictures and those over the limit, before any memory is taken for them.
 *
 * @param pixelBytes what the caller is about to take for a pixel, in bytes
 */
export function checkSize(
  format: string,
  width: number,
  height: number,
  { maxPixels, afford }: SizeLimits,
  pixelBytes = 0,
): void {
  if (width < 1 || height < 1) throw corrupt(format, `says it has ${width} x ${height} pixels`);
  if (width * height > maxPixels) {
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `The ${format} file says it has ${width} x ${height} pixels, over the limit of ${maxPixels}; raise maxPixels to read it.`,
    );
  }
  afford?.(width * height * pixelBytes);
}

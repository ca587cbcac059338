import { QalignError } from '../../base/errors.js';
import type { DecodeLimits } from '../budget/needs-memory.js';

/** Creates the error for a picture with invalid bytes. `what` completes "The <format> file …". */
export const corrupt = (format: string, what: string, cause?: unknown): QalignError =>
  new QalignError('MEDIA_CORRUPT', `The ${format} file ${what}.`, cause === undefined ? {} : { cause });

/** Creates the error for a kind of picture that the reference does not read either. */
export const unsupported = (format: string, what: string): QalignError =>
  new QalignError('MEDIA_UNSUPPORTED', `The ${format} file ${what}; convert it to PNG or JPEG.`);

/** Limits on the size of a picture. */
export type SizeLimits = Pick<DecodeLimits, 'maxPixels' | 'afford'>;

/**
 * Refuses empty pictures and pictures above the limit before memory is allocated.
 *
 * @param pixelBytes bytes that the caller will allocate per pixel
 */
export function checkSize(
  format: string,
  width: number,
  height: number,
  { maxPixels, afford }: SizeLimits,
  pixelBytes = 0,
): void {
  if (width < 1 || height < 1) throw corrupt(format, `declares ${width} x ${height} pixels`);
  if (width * height > maxPixels) {
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `The ${format} file has ${width} x ${height} pixels, over the limit of ${maxPixels}; raise maxPixels to read it.`,
    );
  }
  afford?.(width * height * pixelBytes);
}

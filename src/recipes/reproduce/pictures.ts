import { basename } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { sampleMedia } from '../../base/package-root.js';
import { expandSources } from '../../media/sources.js';
import { readPicture } from '../../media/write-picture.js';

/** The readable pictures, and a note about each unreadable one. */
export interface ReadablePictures {
  readonly pictures: readonly string[];
  readonly notes: readonly string[];
}

/**
 * The first pictures of a folder, or the samples of qalign. Damaged pictures are skipped.
 * @throws QalignError MEDIA_NOT_FOUND if no picture can be opened
 */
export async function readablePictures(media: string | undefined, most: number): Promise<ReadablePictures> {
  const pictures: string[] = [];
  const notes: string[] = [];
  for await (const source of expandSources([media ?? sampleMedia])) {
    if (source.kind !== 'image' || typeof source.media !== 'string') continue;
    const path = source.media;
    const problem = source.error ?? (await readPicture(path).then(() => undefined, asMediaError));
    if (problem === undefined) pictures.push(path);
    else notes.push(`${basename(path)} is left out: ${problem.message}`);
    if (pictures.length === most) break;
  }
  if (pictures.length > 0) return { pictures, notes };
  throw new QalignError(
    'MEDIA_NOT_FOUND',
    `No picture in ${media ?? sampleMedia} can be opened; use --media with a folder of pictures.${notes.length === 0 ? '' : ` ${notes[0]}`}`,
  );
}

function asMediaError(error: unknown): Error {
  if (error instanceof QalignError && error.family === 'media') return error;
  if ((error as NodeJS.ErrnoException).code !== undefined) return error as Error;
  throw error;
}

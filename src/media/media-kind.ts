import { open, stat } from 'node:fs/promises';
import { QalignError } from '../base/errors.js';
import { sniff, SNIFF_BYTES } from './decode/magic.js';
import { pathOf, type MediaInput } from './media-input.js';

/** How media are prepared: a picture, a clip, or a clip as a folder of its frames. */
export type MediaKind = 'image' | 'video' | 'folder';

/**
 * From the first bytes. What is neither picture nor clip counts as a picture: its decoder says in words what is wrong.
 */
export async function kindOf(media: MediaInput): Promise<'image' | 'video'> {
  const path = pathOf(media);
  const start = path === undefined ? (media as Uint8Array).subarray(0, SNIFF_BYTES) : await readStart(path);
  return sniff(start).kind === 'video' ? 'video' : 'image';
}

async function readStart(path: string | Buffer): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/**
 * Of the media of a record. Its own word counts, as a GIF may be either; a directory is a folder of frames.
 *
 * @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE
 */
export async function kindOfRecord({
  media,
  kind,
}: {
  readonly media: string;
  readonly kind?: 'image' | 'video' | undefined;
}): Promise<MediaKind> {
  const found = await stat(media).catch((cause: NodeJS.ErrnoException) => {
    throw new QalignError(
      cause.code === 'ENOENT' ? 'MEDIA_NOT_FOUND' : 'MEDIA_UNREADABLE',
      `${media} cannot be read (${cause.code ?? cause.message}).`,
      { cause },
    );
  });
  return found.isDirectory() ? 'folder' : (kind ?? kindOf(media));
}

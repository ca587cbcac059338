import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { spread } from '../../media/video/frame-indices.js';
import { sniff, SNIFF_BYTES } from '../../media/decode/magic.js';
import { createPreparePool, type PreparePool } from '../../media/prepare-pool.js';
import { prepareVideo } from '../../media/video/video-prepare.js';
import type { TrainRecord } from './records.js';

export interface PreparedMedia {
  /** uint8 RGB [frames, size, size, 3]. */
  readonly data: Uint8Array;
  readonly frames: number;
  readonly warnings: readonly string[];
}

export interface PrepareOptions {
  readonly size: number;
  readonly maxFrames: number;
  readonly signal?: AbortSignal | undefined;
}

/** Turns the media of records into the model's pixels. */
export interface MediaPreparer {
  /** How many records may be under way at once. */
  readonly width: number;
  /** @throws QalignError of the media family for what is missing or damaged */
  prepare(record: Pick<TrainRecord, 'media' | 'kind'>, options: PrepareOptions): Promise<PreparedMedia>;
  close(): Promise<void>;
}

/**
 * Pictures on threads, clips by ffmpeg (one frame a second), and folders of frames that were taken from clips before.
 */
export function createMediaPreparer(pool: PreparePool = createPreparePool()): MediaPreparer {
  return {
    width: 2 * pool.threads,
    async prepare(record, options) {
      const kind = await kindOf(record);
      if (kind === 'folder') return prepareFolder(pool, record.media, options);
      if (kind === 'image') return { ...(await preparePicture(pool, record.media, options)), frames: 1, warnings: [] };
      return prepareVideo(record.media, options);
    },
    close: () => pool.close(),
  };
}

/** The record's word counts, for a GIF may be either; without it, the first bytes of the file. */
export async function kindOf({
  media,
  kind,
}: Pick<TrainRecord, 'media' | 'kind'>): Promise<'image' | 'video' | 'folder'> {
  const found = await stat(media).catch((cause: NodeJS.ErrnoException) => {
    throw new QalignError(
      cause.code === 'ENOENT' ? 'MEDIA_NOT_FOUND' : 'MEDIA_UNREADABLE',
      `${media} cannot be read (${cause.code ?? cause.message}).`,
      { cause },
    );
  });
  if (found.isDirectory()) return 'folder';
  if (kind !== undefined) return kind;
  const file = await open(media);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    return sniff(buffer.subarray(0, bytesRead)).kind === 'video' ? 'video' : 'image';
  } finally {
    await file.close();
  }
}

async function preparePicture(
  pool: PreparePool,
  file: string,
  { size, signal }: PrepareOptions,
): Promise<{ data: Uint8Array }> {
  return pool.prepareImage(file, { size, ...(signal === undefined ? {} : { signal }) });
}

/** Files in the order of their names, numbers as numbers: 2.jpg before 10.jpg. */
async function prepareFolder(pool: PreparePool, folder: string, options: PrepareOptions): Promise<PreparedMedia> {
  const names = (await readdir(folder))
    .filter((name) => !name.startsWith('.'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  if (names.length === 0) throw new QalignError('MEDIA_NOT_FOUND', `The folder of frames ${folder} is empty.`);
  const chosen = spread(names.length, options.maxFrames).map((index) => names[index] as string);
  const data = new Uint8Array(chosen.length * options.size ** 2 * 3);
  const pictures = await Promise.all(chosen.map((name) => preparePicture(pool, join(folder, name), options)));
  pictures.forEach((picture, index) => data.set(picture.data, index * options.size ** 2 * 3));
  return { data, frames: chosen.length, warnings: [] };
}

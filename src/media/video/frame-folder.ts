import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { draftOf, removeLeftovers } from '../../base/files/draft.js';
import { holdFolder, type Reach } from '../../base/files/reach.js';
import { guardWrite } from '../../base/files/unwritable.js';
import type { MediaInput } from '../media-input.js';
import { EIGHT, evenIndices, spreadIndices } from './frame-indices.js';
import type { WantedFrameRule } from '../../prompts/subject.js';
import { sampleVideo } from './video.js';
import { reasonOf } from '../../base/files/reason.js';

/** A file in the folder. Its name begins with a dot, so that it does not count as a frame. */
const NOTE = '.frames.json';

interface Note {
  size: number;
  frames: number;
  bytes: number;
  modified_ms: number;
}

/**
 * Extracts the reference's frames of a clip (one per second), padded and resized for the model. Writes them as lossless
 * PNG: `0000.png`, `0001.png` … The folder appears complete or not at all. An existing folder of the same file and size
 * is kept.
 *
 * @param size side in pixels
 * @returns the number of frames
 * @throws QalignError MEDIA_* and FFMPEG_* for the clip, OUTPUT_UNWRITABLE for the folder
 */
export async function extractFrames(
  file: string,
  folder: string,
  { size, signal }: { readonly size: number; readonly signal?: AbortSignal | undefined },
): Promise<number> {
  const source = await stat(file).catch((cause: Error) => {
    throw new QalignError('MEDIA_NOT_FOUND', `${file} cannot be read: ${reasonOf(cause)}.`, { cause });
  });
  const made = await readNote(folder);
  if (made?.size === size && made.bytes === source.size && made.modified_ms === source.mtimeMs) return made.frames;
  const draft = draftOf(folder);
  try {
    await writable(folder, async () => {
      await mkdir(draft.path, { recursive: true });
      await removeLeftovers(folder);
    });
    // on demand: reading a folder of frames does not need the decoders
    const [{ default: sharp }, { prepareFrame }] = await Promise.all([import('sharp'), import('../image.js')]);
    const sample = await sampleVideo(file, { signal });
    let frames = 0;
    for await (const frame of sample.frames) {
      const { data } = prepareFrame(frame, { size });
      const name = join(draft.path, `${String(frames++).padStart(4, '0')}.png`);
      await writable(folder, () =>
        sharp(data, { raw: { width: size, height: size, channels: 3 } })
          .png({ compressionLevel: 6 })
          .toFile(name),
      );
    }
    if (frames === 0)
      throw new QalignError(
        'MEDIA_CORRUPT',
        `No frame of ${file} can be decoded; repair the file or download it again.`,
      );
    const note: Note = { size, frames, bytes: source.size, modified_ms: source.mtimeMs };
    await writable(folder, async () => {
      await writeFile(join(draft.path, NOTE), `${JSON.stringify(note)}\n`);
      await rm(folder, { recursive: true, force: true });
      await draft.commit();
    });
    return frames;
  } finally {
    await draft.discard();
  }
}

/** Returns true if the path is a folder, which then holds the frames of a clip. */
export async function isFrameFolder(media: MediaInput): Promise<boolean> {
  return (
    typeof media === 'string' &&
    stat(media).then(
      (found) => found.isDirectory(),
      () => false,
    )
  );
}

/** A frame in a folder. */
export interface FrameFile {
  readonly name: string;
  /** Number of the frame in the folder, from 0. Extracted frames are one second apart. */
  readonly index: number;
}

/**
 * Returns the frames in numerical order of their names. With `maxFrames`, returns at most that number, evenly spaced.
 * With the rule `eight`, it takes them from the first to the last.
 * @param within where the folder must be; anywhere by default
 */
export async function frameFiles(
  folder: string,
  {
    maxFrames,
    frameRule,
  }: { readonly maxFrames?: number | undefined; readonly frameRule?: WantedFrameRule | undefined },
  within?: Reach,
): Promise<FrameFile[]> {
  const names = (await namesIn(folder, within))
    .filter((name) => !name.startsWith('.'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  if (names.length === 0)
    throw new QalignError('MEDIA_NOT_FOUND', `The folder of frames ${folder} is empty; extract the frames again.`);
  const indices =
    frameRule === 'eight' ? spreadIndices(names.length, maxFrames ?? EIGHT) : evenIndices(names.length, maxFrames);
  return indices.map((index) => ({ name: names[index]!, index }));
}

async function namesIn(folder: string, within: Reach | undefined): Promise<string[]> {
  const held = holdFolder(folder, within);
  try {
    return await readdir(held.path);
  } finally {
    held.close();
  }
}

async function readNote(folder: string): Promise<Note | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, NOTE), 'utf8')) as Note;
  } catch {
    return undefined;
  }
}

const writable = <T>(folder: string, work: () => Promise<T>): Promise<T> =>
  guardWrite(work, (error) => `The frames ${folder} cannot be written: ${reasonOf(error)}.`);

import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { makeWhole } from '../base/files/whole-file.js';
import { decodeImage } from './decode/decode.js';
import { withDefaults } from './limits.js';
import type { RawPicture } from './resample/resample.js';

/** Reads the pixels of a picture file in the same way as scoring. */
export async function readPicture(path: string): Promise<RawPicture> {
  return decodeImage(await readFile(path), withDefaults(undefined), false);
}

/** Writes pixels as a PNG. The file appears complete or not at all. */
export async function writePng(path: string, { width, height, data }: RawPicture): Promise<void> {
  await makeWhole(path, (draft) =>
    sharp(data, { raw: { width, height, channels: 3 } })
      .png({ compressionLevel: 1 })
      .toFile(draft),
  );
}

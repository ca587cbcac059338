import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeImage } from '../../../src/media/decode/decode.js';
import { withDefaults } from '../../../src/media/limits.js';
import type { RawPicture } from '../../../src/media/resample/resample.js';
import { packageRoot } from '../../../src/base/package-root.js';

/** A photograph with detail, from the pictures of the repository. */
export async function readPicture(): Promise<RawPicture> {
  const bytes = await readFile(join(packageRoot, 'test/fixtures/pictures/pristine.jpg'));
  return decodeImage(new Uint8Array(bytes), withDefaults(undefined), false);
}

import { QalignError } from '../../../base/errors.js';
import { readTiffTags, TAG, type TiffTags } from './tiff-tags.js';

/** Photometric values of sensor data: colour filter array, linear raw. */
const SENSOR = [32803, 34892];
const MAX_DIRECTORIES = 32;

function* otherDirectories(view: DataView, little: boolean, first: TiffTags): Generator<TiffTags> {
  const waiting = [...(first.values.get(TAG.subDirectories) ?? []), first.next];
  for (let read = 0; read < MAX_DIRECTORIES; read++) {
    const at = waiting.shift();
    if (at === undefined) return;
    if (at === 0) continue;
    let tags: TiffTags;
    try {
      tags = readTiffTags(view, little, at);
    } catch {
      // damage does not matter here, because this is not the directory of the picture
      continue;
    }
    yield tags;
    waiting.push(...(tags.values.get(TAG.subDirectories) ?? []), tags.next);
  }
}

const pixels = ({ values }: TiffTags): number => (values.get(TAG.width)?.[0] ?? 0) * (values.get(TAG.height)?.[0] ?? 0);

const notThePicture = (what: string): QalignError =>
  new QalignError('MEDIA_UNSUPPORTED', `${what}; develop or export it as PNG or JPEG, and score the result.`);

/**
 * Detects camera raw files (DNG, NEF, ARW, CR2, PEF …), which are TIFFs with a preview as first picture. Pillow reads
 * the preview without a warning, but its score would not be that of the photograph.
 */
export function findRaw(view: DataView, little: boolean, first: TiffTags): QalignError | undefined {
  if (first.values.has(TAG.dngVersion))
    return notThePicture('The file is a camera raw file (DNG), whose first picture can be a preview');
  if (view.byteLength >= 10 && view.getUint16(8) === 0x4352)
    return notThePicture('The file is a camera raw file (CR2), whose first picture is a preview');
  const reduced = ((first.values.get(TAG.subfileType)?.[0] ?? 0) & 1) === 1;
  for (const other of otherDirectories(view, little, first)) {
    if (SENSOR.includes(other.values.get(TAG.photometric)?.[0] ?? 0))
      return notThePicture('The file is a camera raw file (TIFF with sensor data), whose first picture is a preview');
    if (reduced && pixels(other) > pixels(first))
      return notThePicture('The TIFF file begins with a reduced copy of a larger picture');
  }
  return undefined;
}

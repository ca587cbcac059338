import { createHash } from 'node:crypto';
import { basename, extname, join } from 'node:path';
import type { ScoreResult } from '../../../api/result.js';
import { exactName, type MediaInput } from '../../../media/media-input.js';
import { drawOverlay } from '../../../media/windows/draw-overlay.js';
import { legendHeight, mapOverlaySvg } from '../../../report/map-overlay.js';
import { BOUNDS, mapRange } from '../../../scoring/quality-map.js';

export interface MapPictureOptions {
  readonly autoOrient?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Writes the model into the name, in a run with several. */
  readonly severalModels?: boolean | undefined;
}

/**
 * Writes the picture of a result with its map over it as a PNG into a folder. Returns its path, or undefined without a
 * map.
 *
 * @throws QalignError OUTPUT_UNWRITABLE; the errors of decoding
 */
export async function writeMapPicture(
  folder: string,
  result: ScoreResult,
  media: MediaInput,
  { autoOrient = false, signal, severalModels = false }: MapPictureOptions = {},
): Promise<string | undefined> {
  const { map, scale } = result;
  if (map === undefined) return undefined;
  const path = join(folder, mapPictureName(result, exactName(media), severalModels));
  const range = mapRange(map, scale);
  const bounds = BOUNDS[scale];
  const overlay = {
    svg: (size: { width: number; height: number; scale: number }) => mapOverlaySvg(map, { ...size, range, bounds }),
    below: legendHeight,
  };
  await drawOverlay(path, media, overlay, { autoOrient, ...(signal === undefined ? {} : { signal }) });
  return path;
}

/**
 * The name of the file has the name of the input without unsafe letters, digits of a hash, and the task. The hash is
 * SHA-256 of the whole name of the input, so that two inputs never share a file.
 */
export function mapPictureName(
  { input, task, model }: Pick<ScoreResult, 'input' | 'task' | 'model'>,
  exact: string | undefined,
  severalModels: boolean,
): string {
  const hash = createHash('sha256').update(`${severalModels ? model.id : ''}\n${exact ?? input}`).digest('hex').slice(0, 12); // prettier-ignore
  const last = basename(input);
  const stem = plain(last.slice(0, last.length - extname(last).length));
  return `${[stem, hash, ...(severalModels ? [plain(basename(model.id))] : []), task].join('-')}.png`;
}

const plain = (text: string): string =>
  text
    .replaceAll(/[^A-Za-z0-9.]+/g, '-')
    .replaceAll(/^[.-]+|[.-]+$/g, '')
    .slice(0, 60) || 'picture';

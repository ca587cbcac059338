import { createReadStream } from 'node:fs';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { asUnwritable, isWriteError } from '../../base/files/unwritable.js';
import type { MediaLimits } from '../../media/limits.js';
import { isoTime, lookAt } from '../../media/media-kind.js';
import { fetchInto } from '../../media/url.js';
import type { ScoreSource } from '../../recipes/score/scorer.js';
import type { OpenedFile } from '../../media/opened-file.js';
import { openInRoot, type FileRules } from '../http/path-root.js';
import { errorWithoutPath } from '../http/redact-paths.js';
import type { ItemSource } from '../../api/score.js';
import { retain, type BodyStorage, type Cleanup, type Upload } from '../http/upload.js';

export interface SourceRules {
  readonly files: FileRules;
  readonly allowUrls: boolean;
  readonly limits: Partial<MediaLimits>;
  /** Storage for fetched bytes, and for read bytes where there is no /proc. */
  readonly storage: BodyStorage;
  /** Addresses that URLs can lead to; public ones by default. */
  readonly isAllowed?: ((address: string) => boolean) | undefined;
}

/** Limits for decoding one item. */
export const mediaLimits = ({ limits }: ServeConfig): MediaLimits => ({
  maxPixels: limits.pixels,
  maxFramePixels: limits.frame_pixels,
  maxToolMemory: limits.ffmpeg_mb * 1024 ** 2,
  maxFrames: limits.frames,
  timeoutMs: limits.decode_ms,
  maxBytes: limits.upload_mb * 1024 ** 2,
});

/** Name of an item in the answer. */
export function nameOf(item: ItemSource | Upload, index: number): string {
  if ('media' in item) return item.name;
  return item.id ?? item.path ?? item.url ?? `item ${index + 1}`;
}

/**
 * Converts an item of a request or job list into a scorer input. Throws the item's error. `cleanup` gets functions that
 * free fetched bytes and close files.
 */
export async function toSource(
  item: ItemSource | Upload,
  index: number,
  rules: SourceRules,
  signal: AbortSignal,
  cleanup: Cleanup,
): Promise<ScoreSource> {
  const input = nameOf(item, index);
  if ('media' in item) return received(input, item.media);
  if ([item.base64, item.url, item.path].filter((one) => one !== undefined).length !== 1)
    throw new QalignError('BODY_INVALID', `Item ${index + 1} needs exactly one of base64, url and path.`);
  if (item.path !== undefined) {
    const file = await openInRoot(rules.files, item.path);
    cleanup.push(() => file.close());
    const media = file.path ?? (await copied(file, rules, cleanup));
    const { kind, identity } = await lookAt(media, { signal }).catch(hidden(media, input));
    return { input, kind, media, identity: { ...identity, modified: isoTime(file.found.mtimeNs) } };
  }
  if (item.base64 !== undefined) {
    return received(input, Buffer.from(item.base64, 'base64'));
  }
  if (!rules.allowUrls)
    throw new QalignError('MEDIA_URL_FORBIDDEN', 'This service does not fetch URLs; upload the file.');
  const media = await fetchInto(item.url ?? '', (bytes) => retain(bytes, rules.storage, cleanup).catch(asDiskFull), {
    limits: rules.limits,
    signal,
    ...(rules.isAllowed === undefined ? {} : { isAllowed: rules.isAllowed }),
  });
  return received(input, media);
}

/** Without /proc the same file cannot be opened again by descriptor, so its bytes are stored like an upload. */
const copied = (
  { descriptor }: OpenedFile,
  { storage }: SourceRules,
  cleanup: Cleanup,
): Promise<ScoreSource['media']> =>
  retain(createReadStream('', { fd: descriptor, autoClose: false, start: 0 }), storage, cleanup).catch(asDiskFull);

/** Input of bytes in memory or in a file. The modification time of that file is not the time of the picture. */
async function received(input: string, media: ScoreSource['media']): Promise<ScoreSource> {
  const { kind, identity } = await lookAt(media).catch(hidden(media, input));
  return { input, kind, media, identity: { bytes: identity.bytes } };
}

/** Renames the file in an error to the name that the client knows. */
const hidden =
  (media: ScoreSource['media'], input: string) =>
  (error: unknown): never => {
    throw errorWithoutPath(error, media, input);
  };

function asDiskFull(error: NodeJS.ErrnoException): never {
  throw isWriteError(error)
    ? asUnwritable(error, () => 'The service has no room on its disk for what is fetched; try again later.')
    : error;
}

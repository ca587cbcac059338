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
  /** Where bytes that were fetched, or read where there is no /proc, are retained. */
  readonly storage: BodyStorage;
  /** Which addresses may be fetched from; public ones by default. */
  readonly isAllowed?: ((address: string) => boolean) | undefined;
}

/** What decoding one item may cost. */
export const mediaLimits = ({ limits }: ServeConfig): MediaLimits => ({
  maxPixels: limits.pixels,
  maxFramePixels: limits.frame_pixels,
  maxToolMemory: limits.ffmpeg_mb * 1024 ** 2,
  maxFrames: limits.frames,
  timeoutMs: limits.decode_ms,
  maxBytes: limits.upload_mb * 1024 ** 2,
});

/** How an answer calls an item. */
export function nameOf(item: ItemSource | Upload, index: number): string {
  if ('media' in item) return item.name;
  return item.id ?? item.path ?? item.url ?? `item ${index + 1}`;
}

/**
 * An item of a request or of a job's list → what the scorer takes. Throws what is wrong with it. `cleanup` gets
 * what frees fetched bytes and closes files.
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
  if (!rules.allowUrls) throw new QalignError('MEDIA_URL_FORBIDDEN', 'This service fetches no URLs; upload the file.');
  const media = await fetchInto(item.url ?? '', (bytes) => retain(bytes, rules.storage, cleanup).catch(asDiskFull), {
    limits: rules.limits,
    signal,
    ...(rules.isAllowed === undefined ? {} : { isAllowed: rules.isAllowed }),
  });
  return received(input, media);
}

/** Without /proc nobody else can open this very file again, so its bytes are taken as those of an upload. */
const copied = (
  { descriptor }: OpenedFile,
  { storage }: SourceRules,
  cleanup: Cleanup,
): Promise<ScoreSource['media']> =>
  retain(createReadStream('', { fd: descriptor, autoClose: false, start: 0 }), storage, cleanup).catch(asDiskFull);

/** Of bytes, wherever they were kept: when that file was written says nothing of the picture. */
async function received(input: string, media: ScoreSource['media']): Promise<ScoreSource> {
  const { kind, identity } = await lookAt(media).catch(hidden(media, input));
  return { input, kind, media, identity: { bytes: identity.bytes } };
}

/** What is thrown names the file as the client does. */
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

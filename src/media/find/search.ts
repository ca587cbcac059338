import { stat } from 'node:fs/promises';
import { orderedMap } from '../../base/ordered-map.js';
import { QalignError } from '../../base/errors.js';
import { mediaAt, pathText } from '../media-input.js';
import { lookAt } from '../media-kind.js';
import { isMediaFile, promisesMedia } from './is-media.js';
import { failedSource, type ExpandOptions, type MediaSource, type PassedOver } from './media-source.js';

/** An entry that a walk through folders finds. */
export type Found =
  | { readonly path: string | Buffer; readonly passed: PassedOver }
  | { readonly path: string | Buffer; readonly error: QalignError }
  | { readonly path: string | Buffer; readonly isLink: boolean };

/** Number of files that are checked ahead of the reader. Node has four threads for this. */
const LOOKED_AT_AHEAD = 32;

/**
 * Opens the files that a walk found, in order and slightly ahead of the reader. With `byContent`, a file is skipped if
 * it is not media by its first bytes and its name has no media extension.
 */
export async function* lookThrough(
  walk: AsyncIterable<Found>,
  byContent: boolean,
  options: ExpandOptions,
): AsyncGenerator<MediaSource, void, undefined> {
  const { ahead = LOOKED_AT_AHEAD } = options;
  const judged = orderedMap(walk, ahead, (found) => judge(found, byContent, options), options.signal);
  for await (const source of judged) {
    if (!('passed' in source)) yield source;
    else options.onPassedOver?.({ input: pathText(source.path), reason: source.passed });
  }
}

async function judge(
  found: Found,
  byContent: boolean,
  { hash = false, signal, limits }: ExpandOptions,
): Promise<MediaSource | Extract<Found, { passed: unknown }>> {
  if ('passed' in found) return found;
  if ('error' in found) return failedSource(found.path, found.error);
  const { path } = found;
  const name = pathText(path);
  try {
    const passed = found.isLink ? await unfitTarget(path) : undefined;
    if (passed !== undefined) return { path, passed };
    const look = await lookAt(path instanceof Buffer ? { path } : path, {
      hash: hash && (({ sniffed, start }) => !byContent || isMediaFile(name, start, sniffed)),
      signal,
      within: limits?.within,
    });
    if (byContent && !isMediaFile(name, look.start, look.sniffed)) return { path, passed: 'not-media' };
    return { input: name, kind: look.kind, media: mediaAt(path), identity: look.identity };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof QalignError)) throw error;
    // for a broken link, only the name shows whether it was meant to be media
    if (byContent && found.isLink && error.code === 'MEDIA_NOT_FOUND' && !promisesMedia(name))
      return { path, passed: 'not-media' };
    return failedSource(path, error);
  }
}

/**
 * Checks the target of a link. A pipe must not be opened, because its writer would take this process for its reader.
 */
async function unfitTarget(link: string | Buffer): Promise<PassedOver | undefined> {
  const target = await stat(link).catch(() => undefined); // opening the link reports the error
  if (target === undefined || target.isFile()) return undefined;
  return target.isDirectory() ? 'linked-folder' : 'special-file';
}

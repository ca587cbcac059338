import { stat } from 'node:fs/promises';
import { orderedMap } from '../../base/ordered-map.js';
import { QalignError } from '../../base/errors.js';
import { mediaAt, pathText } from '../media-input.js';
import { lookAt } from '../media-kind.js';
import { isMediaFile, promisesMedia } from './is-media.js';
import { failedSource, type ExpandOptions, type MediaSource, type PassedOver } from './media-source.js';

/** What a walk through folders comes upon. */
export type Found =
  | { readonly path: string | Buffer; readonly passed: PassedOver }
  | { readonly path: string | Buffer; readonly error: QalignError }
  | { readonly path: string | Buffer; readonly isLink: boolean };

/** Files that are looked at ahead of the reader; Node has four threads for it. */
const LOOKED_AT_AHEAD = 32;

/**
 * Opens what a walk found, in its order and a little ahead of the reader. `byContent`: what is no media by its first
 * bytes and promises none by its name is passed over.
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
    // a link that leads nowhere tells by its name alone what it was to be
    if (byContent && found.isLink && error.code === 'MEDIA_NOT_FOUND' && !promisesMedia(name))
      return { path, passed: 'not-media' };
    return failedSource(path, error);
  }
}

/** A pipe must not even be opened: whoever writes to it would take this for its reader. */
async function unfitTarget(link: string | Buffer): Promise<PassedOver | undefined> {
  const target = await stat(link).catch(() => undefined); // opening it says what is wrong
  if (target === undefined || target.isFile()) return undefined;
  return target.isDirectory() ? 'linked-folder' : 'special-file';
}

import { QalignError } from '../../base/errors.js';
import { pathText } from '../media-input.js';
import { folderEntries } from './folder-entries.js';
import type { ExpandOptions, MediaSource } from './media-source.js';
import { createNameFilter, type NameFilter } from './name-filter.js';
import { lookThrough, type Found } from './search.js';

/**
 * Finds the pictures and clips in a folder and its subfolders by their first bytes, in the order of their names. Links
 * to files are followed. Links to folders are not, because they can form a loop. An unreadable file that looks like
 * media by content or by name is returned too, so that it fails visibly.
 */
export async function* searchFolder(
  folder: string | Buffer,
  options: ExpandOptions,
): AsyncGenerator<MediaSource, void, undefined> {
  const filter = createNameFilter(options.include, options.exclude);
  let isEmpty = true;
  for await (const source of lookThrough(walk(folder, '', filter, options), true, options)) {
    isEmpty = false;
    yield source;
  }
  if (isEmpty) options.onEmptyFolder?.(pathText(folder));
}

/**
 * @param above path of `folder` relative to the searched folder, ending in `/`; empty for the searched folder itself
 */
async function* walk(
  folder: string | Buffer,
  above: string,
  filter: NameFilter,
  options: ExpandOptions,
): AsyncGenerator<Found, void, undefined> {
  const entries = await folderEntries(folder, options.signal, options.limits?.within);
  if (entries instanceof QalignError) {
    yield { path: folder, error: entries };
    return;
  }
  for (const { name, path, type, isHidden } of entries) {
    options.signal?.throwIfAborted();
    const inner = `${above}${name}`;
    const isFolder = type === 'folder';
    if (isHidden && options.hidden !== true) yield { path, passed: 'hidden' };
    else if (isFolder ? filter.excludesFolder(inner) : filter.excludesFile(inner)) yield { path, passed: 'excluded' };
    else if (isFolder) yield* walk(path, `${inner}/`, filter, options);
    else if (type === 'special') yield { path, passed: 'special-file' };
    else yield { path, isLink: type === 'link' };
  }
}

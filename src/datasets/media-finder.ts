import { readdirSync, realpathSync, statSync, type Dirent } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { QalignError } from '../base/errors.js';
import { holdFolder, isInReach, outOfReach, type Reach } from '../base/files/reach.js';

/** Finds the file of a rated picture or clip below a folder. */
export interface MediaFinder {
  /**
   * Absolute or as `root` is; undefined where there is none. @throws QalignError DATASET_MEDIA_MISSING where several
   * files could be meant
   */
  find(name: string): string | undefined;
}

/**
 * Looks at `root/<folder>/<name>`, `root/<name>`, and then for the one file of that base name anywhere below, letter
 * case aside (TID2013 and LIVE are distributed with both) and in any Unicode form (macOS and its archives write an
 * accent as a character of its own). Hidden files and folders hold thumbnails and what was deleted: they are found in
 * place only. Folders are read once, and only when a name is not in place.
 *
 * @param within where folders and files must lie, links followed; anywhere by default
 */
export function createMediaFinder(root: string, folder: string, within?: Reach): MediaFinder {
  if (!isA('directory', root))
    throw new QalignError(
      'DATASET_MEDIA_MISSING',
      `The media folder ${root} is no folder; name the one that holds the pictures or clips.`,
    );
  let index: Map<string, string[]> | undefined;
  return {
    find(name) {
      for (const candidate of folder === '' ? [join(root, name)] : [join(root, folder, name), join(root, name)])
        if (isA('file', candidate)) return requireThere(candidate, within);
      index ??= indexOf(root, within);
      const found = index.get(seenName(basename(name))) ?? [];
      const nearest = found.length > 1 ? found.filter((path) => endsWith(path, name)) : found;
      if (nearest.length > 1) {
        throw new QalignError(
          'DATASET_MEDIA_MISSING',
          `${name} could be ${nearest
            .slice(0, 3)
            .map((path) => relative(root, path))
            .join(' or ')}; name the folder above the one that is meant with --media.`,
        );
      }
      return nearest[0] === undefined ? undefined : requireThere(nearest[0], within);
    },
  };
}

/** Only its path is written down: whoever opens it checks what is there by then. */
function requireThere(path: string, within: Reach | undefined): string {
  if (within !== undefined && !isInReach(within, realpathSync(path))) throw outOfReach(path);
  return path;
}

/** The same last parts, as people see them. */
function endsWith(path: string, name: string): boolean {
  return seenName(`/${path.split(sep).join('/')}`).endsWith(seenName(`/${name}`));
}

/** Equal for names that differ in letter case or Unicode form only. */
const seenName = (name: string): string => name.normalize('NFC').toLowerCase();

function isA(kind: 'file' | 'directory', path: string): boolean {
  try {
    const found = statSync(path);
    return kind === 'file' ? found.isFile() : found.isDirectory();
  } catch {
    return false; // not there, a circle of links, or behind a folder that is closed to us
  }
}

/** Base name as people see it → paths. Links are followed, each folder once: a link may lead round in a circle. */
function indexOf(root: string, within: Reach | undefined): Map<string, string[]> {
  const index = new Map<string, string[]>();
  const seen = new Set<string>();
  const open = [root];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    for (const entry of entriesOf(folder, seen, within)) {
      if (entry.name.startsWith('.')) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory() || (entry.isSymbolicLink() && isA('directory', path))) open.push(path);
      else {
        const key = seenName(entry.name);
        const others = index.get(key);
        if (others === undefined) index.set(key, [path]);
        else others.push(path);
      }
    }
  }
  return index;
}

/** None where the folder was seen before, or is gone: other programs may work below the root while it is read. */
function entriesOf(folder: string, seen: Set<string>, within: Reach | undefined): Dirent[] {
  try {
    const held = holdFolder(folder, within);
    try {
      const real = within === undefined ? realpathSync(folder) : held.place;
      if (seen.has(real)) return [];
      seen.add(real);
      return readdirSync(held.path, { withFileTypes: true });
    } finally {
      held.close();
    }
  } catch (cause) {
    if (cause instanceof QalignError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new QalignError(
      'MEDIA_UNREADABLE',
      `${folder} cannot be read (${code ?? String(cause)}), so that what lies in it is not known; make it readable, or name another media folder.`,
      { cause },
    );
  }
}

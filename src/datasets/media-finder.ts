import { readdirSync, realpathSync, statSync, type Dirent } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { QalignError } from '../base/errors.js';
import { holdFolder, isInReach, outOfReach, type Reach } from '../base/files/reach.js';

/** Finds the file of a rated picture or clip below a folder. */
export interface MediaFinder {
  /**
   * Returns the path, relative if `root` is relative; undefined if there is no such file.
   * @throws QalignError DATASET_MEDIA_MISSING if several files match
   */
  find(name: string): string | undefined;
}

/**
 * Checks `root/<folder>/<name>` and `root/<name>`, then searches all subfolders for the base name. The search ignores
 * letter case, because TID2013 and LIVE are distributed with both. It also ignores the Unicode form, because macOS
 * writes accents as separate characters. It skips hidden files and folders, which hold thumbnails and deleted files.
 * Folders are read once, and only if a name is not in its expected place.
 *
 * @param within allowed location of folders and files, with links followed; default: anywhere
 */
export function createMediaFinder(root: string, folder: string, within?: Reach): MediaFinder {
  if (!isA('directory', root))
    throw new QalignError(
      'DATASET_MEDIA_MISSING',
      `The media folder ${root} is not a folder; name the folder with the pictures or clips.`,
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
            .join(' or ')}; use --media with the folder that contains only the right one.`,
        );
      }
      return nearest[0] === undefined ? undefined : requireThere(nearest[0], within);
    },
  };
}

/** Checks where a path leads now. Only the path is stored, so the file is checked again when it is opened. */
function requireThere(path: string, within: Reach | undefined): string {
  if (within !== undefined && !isInReach(within, realpathSync(path))) throw outOfReach(path);
  return path;
}

/** Whether the path ends with the same parts, ignoring letter case and Unicode form. */
function endsWith(path: string, name: string): boolean {
  return seenName(`/${path.split(sep).join('/')}`).endsWith(seenName(`/${name}`));
}

/** A key that is equal for names that differ only in letter case or Unicode form. */
const seenName = (name: string): string => name.normalize('NFC').toLowerCase();

function isA(kind: 'file' | 'directory', path: string): boolean {
  try {
    const found = statSync(path);
    return kind === 'file' ? found.isFile() : found.isDirectory();
  } catch {
    return false; // missing, a circular link, or in a folder without permission
  }
}

/** Paths by normalised base name. Links are followed. Each folder is read once, because links can be circular. */
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

/** Returns no entries if the folder was read before, or was deleted by another program. */
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
      `${folder} cannot be read (${code ?? String(cause)}); make it readable, or name another media folder.`,
      { cause },
    );
  }
}

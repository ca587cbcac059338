import { opendir } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import type { QalignError } from '../../base/errors.js';
import { holdFolder, type Held, type Reach } from '../../base/files/reach.js';
import { openError } from '../image-file.js';
import { pathFrom, pathText } from '../media-input.js';

export interface FolderEntry {
  /** The name as text. Bytes that are not UTF-8 are U+FFFD. */
  readonly name: string;
  /** The path in the form that `node:fs` takes. */
  readonly path: string | Buffer;
  readonly type: 'file' | 'folder' | 'link' | 'special';
  /** The name begins with a dot. */
  readonly isHidden: boolean;
}

/**
 * Lists a folder, sorted by the bytes of the names, so that a run is the same on every machine. An error of the folder
 * is returned and not thrown, so that the search continues: MEDIA_NOT_FOUND, MEDIA_UNREADABLE or PATH_FORBIDDEN.
 *
 * @param within allowed location of the opened folder; anywhere by default
 * @throws the reason of `signal`
 */
export async function folderEntries(
  folder: string | Buffer,
  signal?: AbortSignal,
  within?: Reach,
): Promise<Iterable<FolderEntry> | QalignError> {
  const names: string[] = [];
  const types = new Map<string, FolderEntry['type']>();
  let held: Held<string | Buffer> | undefined;
  try {
    held = holdFolder(folder, within);
    for await (const entry of await opendir(held.path, { encoding: 'buffer' as BufferEncoding, bufferSize: 1024 })) {
      signal?.throwIfAborted();
      // one character per byte: compact, and sorted in byte order
      const name = (entry.name as unknown as Buffer).toString('latin1');
      const type = typeOf(entry);
      names.push(name);
      if (type !== 'file') types.set(name, type);
    }
  } catch (error) {
    signal?.throwIfAborted();
    return openError(folder, error);
  } finally {
    held?.close();
  }
  names.sort();
  return inOrder(folder, names, types);
}

function* inOrder(
  folder: string | Buffer,
  names: readonly string[],
  types: ReadonlyMap<string, FolderEntry['type']>,
): Generator<FolderEntry, void, undefined> {
  for (const bytes of names) {
    const name = pathFrom(Buffer.from(bytes, 'latin1'));
    yield {
      name: pathText(name),
      path: pathWithin(folder, name),
      type: types.get(bytes) ?? 'file',
      isHidden: bytes.startsWith('.'),
    };
  }
}

function typeOf(entry: Dirent): FolderEntry['type'] {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  return entry.isSymbolicLink() ? 'link' : 'special';
}

/** Like `join()`, but accepts bytes too. */
function pathWithin(folder: string | Buffer, name: string | Buffer): string | Buffer {
  if (typeof folder === 'string' && typeof name === 'string') return join(folder, name);
  const above = typeof folder === 'string' ? Buffer.from(join(folder, '_').slice(0, -1)) : folder;
  const separator = above.length === 0 || above.at(-1) === 0x2f ? '' : '/';
  return Buffer.concat([above, Buffer.from(separator), Buffer.from(name)]);
}

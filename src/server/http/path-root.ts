import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { existingName } from '../../media/find/same-name.js';

/**
 * A path of a request → the real path of a file (or folder) below `root`. Links are followed first and judged by where
 * they lead; the path given back holds none.
 *
 * @throws QalignError PATH_FORBIDDEN, MEDIA_NOT_FOUND
 */
export async function resolveInRoot(
  root: string | null,
  path: string,
  what: 'file' | 'folder' | 'either' = 'file',
): Promise<string> {
  const top = await topOf(root, path);
  const shown = JSON.stringify(path.slice(0, 200));
  const missing = (): never => {
    throw new QalignError(
      'MEDIA_NOT_FOUND',
      `There is no ${what === 'either' ? 'file or folder' : what} ${shown} below the root.`,
    );
  };
  const real = (await realpath(await existingName(join(top, path))).catch(() => undefined)) ?? missing();
  if (!isBelow(top, real) && !(what !== 'file' && real === top)) throw leadsOut(path);
  const found = await stat(real);
  if (!(what !== 'folder' && found.isFile()) && !(what !== 'file' && found.isDirectory())) missing();
  return real;
}

/** The same for something that is to be written: its folder must be there, it itself need not. */
export async function resolveOutputInRoot(root: string | null, path: string): Promise<string> {
  const top = await topOf(root, path);
  const parent = await realpath(dirname(join(top, path))).catch(() => {
    throw new QalignError(
      'MEDIA_NOT_FOUND',
      `There is no folder ${JSON.stringify(dirname(path).slice(0, 200))} below the root to write into.`,
    );
  });
  const target = join(parent, basename(path));
  const real = await realpath(target).catch(() => target);
  if (!isBelow(top, real)) throw leadsOut(path);
  return real;
}

export const isBelow = (top: string, path: string): boolean => path.startsWith(top.endsWith(sep) ? top : top + sep);

/** The real root, after what can be said of the path by its letters alone. */
async function topOf(root: string | null, path: string): Promise<string> {
  if (root === null)
    throw new QalignError('PATH_FORBIDDEN', 'This service reads no files of its own; it was started without a root.');
  if (path.includes('\0') || isAbsolute(path) || path.split(/[/\\]/).includes('..')) throw leadsOut(path);
  return realpath(root).catch(() => {
    throw new QalignError('PATH_FORBIDDEN', 'The root of this service does not exist.');
  });
}

const leadsOut = (path: string): QalignError =>
  new QalignError(
    'PATH_FORBIDDEN',
    `The path ${JSON.stringify(path.slice(0, 200))} leads out of the root; name a file below it.`,
  );

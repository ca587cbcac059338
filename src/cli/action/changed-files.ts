import { createNameFilter } from '../../media/find/name-filter.js';
import type { Found } from '../../media/find/search.js';
import { pathFrom, pathText } from '../../media/media-input.js';
import { QalignError } from '../../base/errors.js';
import type { Git } from './git.js';
import type { ActionInputs } from './inputs.js';

export interface ChangedFile {
  /** Relative to the working directory; bytes if the name is not UTF-8. */
  readonly path: string | Buffer;
  readonly isLink: boolean;
}

/**
 * Files of HEAD below the working directory that are new or changed since `base`, in the order of git. A renamed file
 * has its new name. Deleted files and submodules are left out.
 */
export async function changedFiles(git: Git, base: string): Promise<ChangedFile[]> {
  const found = await git(
    ...['diff', '--raw', '-z', '--relative', '--no-renames', '--no-ext-diff', '--diff-filter=AMT', '--no-abbrev'],
    ...[base, 'HEAD', '--'],
  );
  if (found === undefined)
    throw new QalignError(
      'USAGE',
      `git cannot compare ${base} with HEAD; set the input base to a commit of this clone.`,
    );
  return readRaw(found);
}

/** `:MODE MODE HASH HASH STATUS NUL PATH NUL`, repeated. */
export function readRaw(raw: Buffer): ChangedFile[] {
  const files: ChangedFile[] = [];
  for (let at = 0; at < raw.length;) {
    const head = raw.indexOf(0, at);
    const end = raw.indexOf(0, head + 1);
    if (head < 0 || end < 0) break;
    const mode = raw.toString('latin1', at, head).split(' ')[1] ?? '';
    const path = pathFrom(Buffer.from(raw.subarray(head + 1, end)));
    if (mode.startsWith('100') || mode === '120000') files.push({ path, isLink: mode === '120000' });
    at = end + 1;
  }
  return files;
}

/** Applies `include` and `exclude` to files and their parent folders, as a folder search does. */
export async function* wantedFiles(
  files: readonly ChangedFile[],
  { include, exclude }: Pick<ActionInputs, 'include' | 'exclude'>,
): AsyncGenerator<Found, void, undefined> {
  const filter = createNameFilter(include, exclude);
  for (const file of files) {
    const name = pathText(file.path);
    const folders = [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index));
    if (folders.some((folder) => filter.excludesFolder(folder)) || filter.excludesFile(name))
      yield { path: file.path, passed: 'excluded' };
    else yield file;
  }
}

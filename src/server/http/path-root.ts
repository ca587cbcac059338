import { mkdir, realpath, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { reasonOf } from '../../base/files/reason.js';
import { holdFolder, isBelow, isInReach, type Held, type Reach } from '../../base/files/reach.js';
import type { ServeConfig } from '../../config/serve.js';
import { existingName } from '../../media/find/same-name.js';
import { openFile, type OpenedFile } from '../../media/opened-file.js';
import { runsRoot } from '../../runs/run-directory.js';

/** Rules for the files that requests can name. */
export interface FileRules {
  /** Directory that contains them; null: requests cannot name files. */
  readonly root: string | null;
  /** Directories of the service itself. Requests never read or write them, even where the root contains them. */
  readonly own: readonly string[];
}

export const fileRules = ({ root, data_dir, runs_dir }: ServeConfig): FileRules => ({
  root,
  own: [resolve(data_dir), resolve(runs_dir ?? runsRoot())],
});

/**
 * Resolves a path of a request to the real path of a file (or directory) below the root. Links are resolved before the
 * check, and the result contains no links.
 *
 * @throws QalignError PATH_FORBIDDEN, MEDIA_NOT_FOUND
 */
export async function resolveInRoot(
  rules: FileRules,
  path: string,
  what: 'file' | 'folder' | 'either' = 'file',
): Promise<string> {
  const reach = await reachOf(rules, path);
  const shown = JSON.stringify(path.slice(0, 200));
  const missing = (): never => {
    throw new QalignError(
      'MEDIA_NOT_FOUND',
      `There is no ${what === 'either' ? 'file or folder' : what} ${shown} below the root.`,
    );
  };
  const real = (await realpath(await existingName(join(reach.top, path))).catch(() => undefined)) ?? missing();
  if (!(what !== 'file' && real === reach.top)) requireReached(reach, real, path);
  const found = await stat(real).catch(missing);
  if (!(what !== 'folder' && found.isFile()) && !(what !== 'file' && found.isDirectory())) missing();
  return real;
}

export interface FileInRoot extends OpenedFile {
  /** Path below the root, without links. */
  readonly below: string;
}

/**
 * Resolves and opens a file once. The check applies to the opened descriptor, so that nothing can be swapped between
 * check and read. The caller closes it.
 *
 * @throws QalignError PATH_FORBIDDEN, MEDIA_NOT_FOUND, MEDIA_UNREADABLE, naming the file as the request does
 */
export async function openInRoot(
  rules: FileRules,
  path: string,
  open: (real: string) => Promise<OpenedFile> = openFile,
): Promise<FileInRoot> {
  const real = await resolveInRoot(rules, path);
  const reach = await reachOf(rules, path);
  const file = await open(real).catch((error: unknown) => {
    if (!(error instanceof QalignError)) throw error;
    throw new QalignError(error.code, error.message.replaceAll(JSON.stringify(real), JSON.stringify(path)), {
      cause: error,
    });
  });
  try {
    requireReached(reach, file.place, path);
    return { ...file, below: relative(reach.top, file.place) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** An output path below an open directory. */
export interface HeldOutput {
  /** A path through the open directory, even if its name is replaced; without /proc it equals `name`. */
  readonly path: string;
  /** The path without links. */
  readonly name: string;
  /** Must be called once. Removes the directory if it was created here and is empty. */
  readonly close: () => Promise<void>;
}

/**
 * Resolves a path to write. Its parent must exist; an output directory is created. Both are opened, and the check
 * applies to the descriptors.
 *
 * @throws QalignError PATH_FORBIDDEN, MEDIA_NOT_FOUND, OUTPUT_UNWRITABLE
 */
export async function holdOutputInRoot(rules: FileRules, path: string, what: 'file' | 'folder'): Promise<HeldOutput> {
  const reach = await reachOf(rules, path);
  const target = join(reach.top, path);
  const parent = await realpath(dirname(target)).catch(() => {
    throw new QalignError(
      'MEDIA_NOT_FOUND',
      `There is no folder ${JSON.stringify(dirname(path).slice(0, 200))} below the root to write into.`,
    );
  });
  const held = (folder: string): Held => {
    try {
      return holdFolder(folder, reach);
    } catch (error) {
      throw error instanceof QalignError ? leadsOut(path) : unwritable(path, error);
    }
  };
  const around = held(parent);
  const [inside, name] = [join(around.path, basename(target)), join(around.place, basename(target))];
  try {
    requireReached(reach, await realpath(inside).catch(() => name), path);
    if (what === 'file') return { path: inside, name, close: async () => around.close() };
    const isMade = await mkdir(inside).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw unwritable(path, error);
      },
    );
    const folder = held(inside);
    return {
      path: folder.path,
      name: folder.place,
      async close() {
        if (isMade) await rmdir(inside).catch(() => undefined); // it holds what was written
        folder.close();
        around.close();
      },
    };
  } catch (error) {
    around.close();
    throw error;
  }
}

const unwritable = (path: string, cause: unknown): QalignError =>
  new QalignError(
    'OUTPUT_UNWRITABLE',
    `${JSON.stringify(path.slice(0, 200))} could not be written: ${reasonOf(cause)}.`,
    { cause },
  );

/** The folders of the rules without links, for comparisons with real paths. `top` is empty without a root. */
export async function readReach({ root, own }: FileRules): Promise<Reach> {
  return {
    top: root === null ? '' : await realpath(root).catch(() => ''),
    // The directory does not have to exist yet.
    own: await Promise.all(own.map((folder) => realpath(folder).catch(() => folder))),
  };
}

function requireReached(reach: Reach, real: string, path: string): void {
  if (isInReach(reach, real)) return;
  if (!isBelow(reach.top, real)) throw leadsOut(path);
  throw new QalignError(
    'PATH_FORBIDDEN',
    `The path ${JSON.stringify(path.slice(0, 200))} is inside a directory of the service (data_dir, runs_dir); name another file, and a trained model as run:NAME.`,
  );
}

/** Checks the text of a path and returns the reach, without access to the file. */
async function reachOf(rules: FileRules, path: string): Promise<Reach> {
  if (rules.root === null)
    throw new QalignError(
      'PATH_FORBIDDEN',
      'This service was started without a root, so requests cannot name files; upload the file.',
    );
  if (path.includes('\0') || isAbsolute(path) || path.split(/[/\\]/).includes('..')) throw leadsOut(path);
  const reach = await readReach(rules);
  if (reach.top === '') throw new QalignError('PATH_FORBIDDEN', 'The root of this service does not exist.');
  return reach;
}

const leadsOut = (path: string): QalignError =>
  new QalignError(
    'PATH_FORBIDDEN',
    `The path ${JSON.stringify(path.slice(0, 200))} is outside the served root; name a file below the root.`,
  );

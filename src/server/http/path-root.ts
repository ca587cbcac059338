import { mkdir, realpath, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { reasonOf } from '../../base/files/reason.js';
import { holdFolder, isBelow, isInReach, type Held, type Reach } from '../../base/files/reach.js';
import type { ServeConfig } from '../../config/serve.js';
import { existingName } from '../../media/find/same-name.js';
import { openFile, type OpenedFile } from '../../media/opened-file.js';
import { runsRoot } from '../../runs/run-directory.js';

/** Which files requests may name. */
export interface FileRules {
  /** They lie below this folder; null: there are none. */
  readonly root: string | null;
  /** The service's own folders, which no request reads or writes, though the root may contain them. */
  readonly own: readonly string[];
}

export const fileRules = ({ root, data_dir, runs_dir }: ServeConfig): FileRules => ({
  root,
  own: [resolve(data_dir), resolve(runs_dir ?? runsRoot())],
});

/**
 * A path of a request → the real path of a file (or folder) below the root. Links are followed first and judged by
 * where they lead; the path given back holds none.
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
  /** Its path below the root, without links. */
  readonly below: string;
}

/**
 * The same for a file, which is opened once: where the descriptor itself lies is checked, so that nothing can be put
 * in its place between the check and the reading. The caller closes it.
 *
 * @throws QalignError PATH_FORBIDDEN, MEDIA_NOT_FOUND, MEDIA_UNREADABLE, which name the file as the request does
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

/** Where something is written: below a folder that is open. */
export interface HeldOutput {
  /** Leads into the open folder, whatever is put in its place meanwhile; without /proc it is `name`. */
  readonly path: string;
  /** The path without links. */
  readonly name: string;
  /** To be called once. Removes the folder if it was made here and is empty. */
  readonly close: () => Promise<void>;
}

/**
 * The same for something that is to be written: the folder around it must be there, and an output folder is made. They
 * are opened, and where the descriptors lie is checked.
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

/** The folders of the rules without links, for comparisons with real paths. `top` is empty where there is no root. */
export async function readReach({ root, own }: FileRules): Promise<Reach> {
  return {
    top: root === null ? '' : await realpath(root).catch(() => ''),
    own: await Promise.all(own.map((folder) => realpath(folder).catch(() => folder))), // one that is not made yet
  };
}

function requireReached(reach: Reach, real: string, path: string): void {
  if (isInReach(reach, real)) return;
  if (!isBelow(reach.top, real)) throw leadsOut(path);
  throw new QalignError(
    'PATH_FORBIDDEN',
    `The path ${JSON.stringify(path.slice(0, 200))} leads into a folder of the service itself (data_dir, runs_dir); name a file elsewhere, and a trained model as run:NAME.`,
  );
}

/** After what can be said of the path by its letters alone. */
async function reachOf(rules: FileRules, path: string): Promise<Reach> {
  if (rules.root === null)
    throw new QalignError('PATH_FORBIDDEN', 'This service reads no files of its own; it was started without a root.');
  if (path.includes('\0') || isAbsolute(path) || path.split(/[/\\]/).includes('..')) throw leadsOut(path);
  const reach = await readReach(rules);
  if (reach.top === '') throw new QalignError('PATH_FORBIDDEN', 'The root of this service does not exist.');
  return reach;
}

const leadsOut = (path: string): QalignError =>
  new QalignError(
    'PATH_FORBIDDEN',
    `The path ${JSON.stringify(path.slice(0, 200))} leads out of the root; name a file below it.`,
  );

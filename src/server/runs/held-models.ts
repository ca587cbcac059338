import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { reasonOf } from '../../base/files/reason.js';
import {
  DESCRIPTORS,
  holdFile,
  holdFolder,
  isBelow,
  outOfReach,
  type Held,
  type Reach,
} from '../../base/files/reach.js';

/** The parts of a recipe that Python reads by path. */
interface NamesModels {
  readonly model: string;
  readonly base: string | null;
  readonly encoder_weights?: string | null;
}

export interface HeldModels {
  /** Paths of folders and files in the recipe → links to the open files. Names of models are not included. */
  readonly held: ReadonlyMap<string, string>;
  /** Closes the files and removes the links. */
  readonly close: () => void;
}

/** The files that loading a model reads. */
const MODEL_FILE = /^[^.].*\.(json|jinja|txt|model|safetensors|bin)$/;
/** Far more files than a model has, and fewer than the limit of open files of a process. */
const MOST_FILES = 256;

/**
 * Opens the files of a recipe's model folders, checks the location of each descriptor, and creates folders of links to
 * these descriptors below `into`. Python then reads the open files, even if they are replaced by name. Without /proc,
 * or if other processes of this user cannot follow its links, no file is held open and Python reads by name.
 *
 * @param reach allowed location of folders below the root and of their files
 * @param runs the folder of run directories; files of a model in this folder must also be in it
 * @throws QalignError MODEL_NOT_FOUND, MODEL_INVALID, PATH_FORBIDDEN
 */
export function holdModels(
  recipe: NamesModels,
  { into, reach, runs }: { readonly into: string; readonly reach: Reach; readonly runs: string },
): HeldModels {
  const held = new Map<string, string>();
  const open: Held[] = [];
  const close = (): void => {
    for (const one of open.splice(0)) one.close();
    rmSync(into, { recursive: true, force: true });
  };
  rmSync(into, { recursive: true, force: true }); // left by a killed service
  try {
    for (const path of [recipe.model, recipe.base ?? ''].filter(isAbsolute)) {
      const within = isBelow(runs, path) ? { top: realpathSync(runs), own: [] } : reach;
      const links = openFiles(path, within, open);
      if (canLink(open)) held.set(path, linked(join(into, String(held.size), basename(path)), links));
    }
    const weights = recipe.encoder_weights ?? undefined;
    if (weights !== undefined) {
      const links = [openOne(weights, basename(weights), reach, open)];
      if (canLink(open)) held.set(weights, join(linked(join(into, 'encoder'), links), basename(weights)));
    }
  } catch (error) {
    close();
    throw error;
  }
  return { held, close };
}

interface Opened {
  readonly name: string;
  readonly file: Held;
}

/** Opens the files of a model's folder, without broken links. */
function openFiles(folder: string, within: Reach, open: Held[]): Opened[] {
  const place = inWords(folder, () => holdFolder(folder, within));
  try {
    const names = readdirSync(place.path).filter((name) => MODEL_FILE.test(name) && existsSync(join(place.path, name)));
    if (names.length > MOST_FILES)
      throw new QalignError(
        'MODEL_INVALID',
        `The folder ${folder} contains ${names.length} model files; at most ${MOST_FILES} are allowed. Remove files that do not belong to the model.`,
      );
    return names.map((name) => openOne(join(place.path, name), name, within, open, join(folder, name)));
  } finally {
    place.close();
  }
}

function openOne(path: string, name: string, within: Reach, open: Held[], shown = path): Opened {
  const file = inWords(shown, () => holdFile(path, within));
  open.push(file);
  return { name, file };
}

/** Replaces the path in an error with the path in the recipe. */
function inWords(shown: string, hold: () => Held): Held {
  try {
    return hold();
  } catch (error) {
    if (error instanceof QalignError) throw outOfReach(shown);
    throw new QalignError('MODEL_NOT_FOUND', `${shown} cannot be read: ${reasonOf(error)}.`, { cause: error });
  }
}

/** False if /proc belongs to root, as with the capability for low ports: workers then cannot follow its links. */
const canLink = (open: readonly Held[]): boolean =>
  open.every(({ path }) => path.startsWith(`${DESCRIPTORS}/`)) &&
  statSync(dirname(DESCRIPTORS)).uid === process.geteuid?.();

function linked(folder: string, files: readonly Opened[]): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const { name, file } of files) symlinkSync(`/proc/${process.pid}/fd/${basename(file.path)}`, join(folder, name));
  return folder;
}

import { readFileSync, realpathSync, statSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { cacheDir } from '../../base/files/cache-dir.js';

export interface PythonProbe {
  readonly executable: string;
  /** e.g. `3.11.7`. */
  readonly version: string;
  readonly major: number;
  readonly minor: number;
  /** True if `python -m venv` can create an environment with pip. Debian has this in the package python3-venv. */
  readonly canVenv: boolean;
  /** The requested modules that were not found. */
  readonly missing: readonly string[];
}

/** What an interpreter said about itself, and the state of the files and folders that the answer depends on. */
interface Row {
  readonly answer: Omit<PythonProbe, 'executable'>;
  /** False for a script that starts an interpreter, such as a shim of pyenv. It can start another one the next time. */
  readonly isInterpreter: boolean;
  readonly marks: Readonly<Record<string, string>>;
}

/** An interpreter answers differently with other modules or another search path. */
const MOST_ROWS = 16;

const file = (): string => join(cacheDir(), 'interpreters.json');

/**
 * Returns the stored answer of an interpreter if its files and the folders of its modules have not changed. Undefined
 * for an unknown interpreter. Running one takes 0.1 to 0.3 s.
 */
export function recall(executable: string, modules: readonly string[]): Omit<Row, 'marks'> | undefined {
  const place = locate(executable);
  const row = place === undefined ? undefined : rows()[keyOf(place, modules)];
  if (row === undefined) return undefined;
  const isSame = Object.entries(row.marks).every(([path, mark]) => markOf(path) === mark);
  return isSame ? row : undefined;
}

/** Stores an answer. `self` is the interpreter's own path, `path` its search path. Needs an existing cache folder. */
export async function remember(
  executable: string,
  modules: readonly string[],
  answer: Row['answer'],
  { self, path }: { readonly self: string; readonly path: readonly string[] },
): Promise<void> {
  const place = locate(executable);
  if (place === undefined) return;
  const paths = [place, self, join(dirname(place), '..', 'pyvenv.cfg'), ...path];
  const marks = Object.fromEntries(paths.map((each) => [each, markOf(each)]));
  const isInterpreter = realPath(place) === realPath(self);
  const { [keyOf(place, modules)]: _old, ...others } = rows();
  const kept = Object.entries(others).slice(1 - MOST_ROWS);
  const text = JSON.stringify(Object.fromEntries([...kept, [keyOf(place, modules), { answer, isInterpreter, marks }]]));
  const draft = `${file()}.${process.pid}`;
  await writeFile(draft, text)
    .then(() => rename(draft, file()))
    .catch(() => rm(draft, { force: true }).catch(() => {})); // the next start asks again
}

function rows(): Record<string, Row> {
  try {
    return JSON.parse(readFileSync(file(), 'utf8')) as Record<string, Row>;
  } catch {
    return {};
  }
}

function keyOf(place: string, modules: readonly string[]): string {
  const { PYTHONPATH = '', PYTHONHOME = '' } = process.env;
  return JSON.stringify([place, PYTHONPATH, PYTHONHOME, ...modules]);
}

/** The file that a shell would run. */
function locate(executable: string): string | undefined {
  if (executable.includes('/')) return resolve(executable);
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute);
  return folders.map((folder) => join(folder, executable)).find((path) => markOf(path) !== NONE);
}

const NONE = 'none';

/** Changes when a file is replaced, and when an entry of a folder is added or removed. */
function markOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? NONE : `${found.ino} ${found.size} ${found.mtimeMs}`;
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

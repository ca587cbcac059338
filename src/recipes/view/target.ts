import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { reasonOf } from '../../base/files/reason.js';
import { runsRoot } from '../../runs/run-directory.js';
import { invalid } from './stored-results.js';

/** What a name on the command line refers to: a results file, or the folder of a run or an evaluation. */
export interface ViewTarget {
  readonly kind: 'results' | 'run' | 'evaluation';
  readonly path: string;
}

interface Folder extends ViewTarget {
  readonly kind: 'run' | 'evaluation';
}

/** The file that describes a folder of each kind. */
const DESCRIPTIONS = { run: 'recipe.json', evaluation: 'evaluation.json' } as const;

/** Files of a folder, by which it can also be named. */
const FILES: Readonly<Record<string, ViewTarget['kind']>> = {
  'recipe.json': 'run',
  'events.jsonl': 'run',
  'evaluation.json': 'evaluation',
  'evaluation.md': 'evaluation',
  'report.html': 'evaluation',
};

/**
 * Finds what a name refers to. It is a path, the id of a run below `runs`, or the name of an evaluation below
 * `evaluations/`.
 *
 * @throws QalignError RESULTS_NOT_FOUND; RESULTS_INVALID for a folder or file of another kind
 */
export async function findViewTarget(name: string, runs = runsRoot()): Promise<ViewTarget> {
  const path = resolve(name);
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() === true) {
    const folder = dirname(path);
    const kind = Object.hasOwn(FILES, basename(path)) ? kindOf(folder) : undefined;
    return kind === undefined ? { kind: 'results', path } : requireReadable({ kind, path: folder });
  }
  if (found !== undefined && !found.isDirectory())
    throw invalid(`${path} is not a regular file; name a results file, a run or an evaluation.`);
  const folders = [path, join(runs, name), resolve('evaluations', name)].filter(existsSync);
  for (const folder of folders) {
    const kind = kindOf(folder);
    if (kind !== undefined) return requireReadable({ kind, path: folder });
  }
  if (folders[0] !== undefined) throw invalid(await describeFolder(folders[0]));
  throw new QalignError(
    'RESULTS_NOT_FOUND',
    `${name} is neither a file, nor a run in ${runs}, nor an evaluation in ${resolve('evaluations')}; check the name. "qalign runs list" shows the runs.`,
  );
}

/** @throws QalignError RESULTS_INVALID if the file that describes the folder is damaged */
async function requireReadable(target: Folder): Promise<Folder> {
  const file = join(target.path, DESCRIPTIONS[target.kind]);
  try {
    const { name } = JSON.parse(await readFile(file, 'utf8')) as { readonly name?: unknown };
    if (typeof name === 'string') return target;
  } catch (cause) {
    throw damaged(file, reasonOf(cause), cause);
  }
  throw damaged(file, 'it has no name');
}

const damaged = (file: string, why: string, cause?: unknown): QalignError =>
  invalid(`${file} is damaged (${why}); restore the file, or name another folder.`, cause);

function kindOf(folder: string): 'run' | 'evaluation' | undefined {
  return (['evaluation', 'run'] as const).find((kind) => existsSync(join(folder, DESCRIPTIONS[kind])));
}

async function describeFolder(folder: string): Promise<string> {
  const names = await readdir(folder).catch(() => [] as string[]);
  if (names.includes('predictions'))
    return `The evaluation in ${folder} is not completed; run the same "qalign evaluate" again, then view it.`;
  const result = names.find((name) => /\.(jsonl|csv|parquet)$/i.test(name));
  const advice =
    result === undefined
      ? 'name a results file, a run or an evaluation'
      : `name a file, such as ${join(folder, result)}`;
  return `${folder} is neither a run (it has no recipe.json) nor an evaluation (it has no evaluation.json); ${advice}.`;
}

import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { runsRoot } from '../../runs/run-directory.js';
import { invalid } from './stored-results.js';

/** What a name on the command line refers to: a results file, or the folder of a run or an evaluation. */
export interface ViewTarget {
  readonly kind: 'results' | 'run' | 'evaluation';
  readonly path: string;
}

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
    return kind === undefined ? { kind: 'results', path } : { kind, path: folder };
  }
  if (found !== undefined && !found.isDirectory())
    throw invalid(`${path} is not a regular file; name a results file, a run or an evaluation.`);
  const folders = [path, join(runs, name), resolve('evaluations', name)].filter(existsSync);
  for (const folder of folders) {
    const kind = kindOf(folder);
    if (kind !== undefined) return { kind, path: folder };
  }
  if (folders[0] !== undefined) throw invalid(await describeFolder(folders[0]));
  throw new QalignError(
    'RESULTS_NOT_FOUND',
    `${name} is neither a file, nor a run in ${runs}, nor an evaluation in ${resolve('evaluations')}; check the name. "qalign runs list" shows the runs.`,
  );
}

function kindOf(folder: string): 'run' | 'evaluation' | undefined {
  if (existsSync(join(folder, 'evaluation.json'))) return 'evaluation';
  return existsSync(join(folder, 'recipe.json')) ? 'run' : undefined;
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

import { execFile } from 'node:child_process';
import { QalignError } from '../../base/errors.js';

/** Runs git. Undefined if git exits with an error. */
export type Git = (...words: string[]) => Promise<Buffer | undefined>;

const MOST_BYTES = 1 << 30;

/**
 * git in `folder`. Trusts a checkout of another user, as in a container job. Callers pass revisions after
 * `--end-of-options`, so that git does not read them as flags.
 */
export function createGit(folder: string, trusted: readonly string[] = []): Git {
  const trust = [folder, ...trusted].flatMap((place) => ['-c', `safe.directory=${place}`]);
  return (...words) =>
    new Promise((resolve, reject) => {
      const options = { cwd: folder, encoding: 'buffer', maxBuffer: MOST_BYTES } as const;
      execFile('git', [...trust, ...words], options, (error, stdout) => {
        if (error === null) resolve(stdout);
        else if (typeof error.code === 'number') resolve(undefined);
        else
          reject(
            new QalignError('USAGE', `git cannot be run (${error.code ?? error.message}); install it on this runner.`),
          );
      });
    });
}

/** The full hash of a commit; undefined if the commit is not in this clone. */
export async function commitOf(git: Git, revision: string): Promise<string | undefined> {
  const found = await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`);
  const name = found?.toString('utf8').trim();
  return name === undefined || name === '' ? undefined : name;
}

export async function isShallow(git: Git): Promise<boolean> {
  return (await git('rev-parse', '--is-shallow-repository'))?.toString('utf8').trim() === 'true';
}

import { execFile } from 'node:child_process';
import { QalignError } from '../../base/errors.js';

/** Runs git; undefined where git says no. */
export type Git = (...words: string[]) => Promise<Buffer | undefined>;

const MOST_BYTES = 1 << 30;

/**
 * git in `folder`. A checkout of another user, as in a container job, is trusted; a revision cannot be a flag because
 * callers put it behind `--end-of-options`.
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

/** The full name of a commit; undefined where it is not in this clone. */
export async function commitOf(git: Git, revision: string): Promise<string | undefined> {
  const found = await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`);
  const name = found?.toString('utf8').trim();
  return name === undefined || name === '' ? undefined : name;
}

export async function isShallow(git: Git): Promise<boolean> {
  return (await git('rev-parse', '--is-shallow-repository'))?.toString('utf8').trim() === 'true';
}

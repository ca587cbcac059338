import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../src/base/package-root.js';

const run = promisify(execFile);

/**
 * Packs the package as `npm publish` would, of a copy that is built anew, and unpacks it below
 * `project`/node_modules/qalign with the dependencies of the checkout. Returns that folder.
 */
export async function installPacked(work: string, project: string): Promise<string> {
  const copy = join(work, 'copy');
  const node = process.execPath;
  await mkdir(copy, { recursive: true });
  for (const name of await readdir(packageRoot))
    if (!['.git', 'dist', 'node_modules', 'runs', 'data'].includes(name))
      await cp(join(packageRoot, name), join(copy, name), {
        recursive: true,
        filter: (path) => !path.includes('__pycache__') && !path.includes('/fixtures/golden'),
      });
  await run(node, [
    join(packageRoot, 'node_modules/typescript/bin/tsc'),
    ...['-p', join(packageRoot, 'tsconfig.json'), '--outDir', join(copy, 'dist')],
  ]);
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', work], {
    cwd: copy,
  });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  const folder = join(project, 'node_modules', 'qalign');
  await mkdir(folder, { recursive: true });
  await run('tar', ['-xzf', join(work, filename), '--strip-components=1', '-C', folder]);
  for (const name of await readdir(join(packageRoot, 'node_modules')))
    if (!name.startsWith('.'))
      await symlink(join(packageRoot, 'node_modules', name), join(project, 'node_modules', name));
  return folder;
}

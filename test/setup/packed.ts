import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../src/base/package-root.js';

const run = promisify(execFile);

/**
 * Packs a newly built copy of the package like `npm publish`, and unpacks it in `project`/node_modules/qalign, without
 * development dependencies. Returns that folder.
 */
export async function installPacked(work: string, project: string): Promise<string> {
  const copy = join(work, 'copy');
  await mkdir(copy, { recursive: true });
  for (const name of await readdir(packageRoot))
    if (!['.git', 'dist', 'node_modules', 'runs', 'data'].includes(name))
      await cp(join(packageRoot, name), join(copy, name), {
        recursive: true,
        filter: (path) => !path.includes('__pycache__') && !path.includes('/fixtures/golden'),
      });
  await buildInto(join(copy, 'dist'));
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', work], {
    cwd: copy,
  });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  const folder = join(project, 'node_modules', 'qalign');
  await mkdir(folder, { recursive: true });
  await run('tar', ['-xzf', join(work, filename), '--strip-components=1', '-C', folder]);
  await linkDependencies(join(project, 'node_modules'));
  return folder;
}

/** Uses `dist` if no source is newer, as after `npm run build`; otherwise builds it in the same way. */
async function buildInto(dist: string): Promise<void> {
  const built = join(packageRoot, 'dist');
  const made = (await stat(join(built, 'src/index.d.cts')).catch(() => undefined))?.mtimeMs ?? 0;
  const sources = ['package.json', 'tsconfig.json', '.config', 'src', 'bridge'];
  if (
    made > (await Promise.all(sources.map((path) => newest(join(packageRoot, path))))).reduce((a, b) => Math.max(a, b))
  )
    return cp(built, dist, { recursive: true });
  const modules = join(packageRoot, 'node_modules');
  const config = join(packageRoot, 'tsconfig.json');
  await run(process.execPath, [join(modules, 'typescript/bin/tsc'), '-p', config, '--outDir', dist]);
  for (const step of ['require-types', 'reference-page'])
    await run(process.execPath, ['--import', 'tsx', join(packageRoot, `.config/${step}.ts`), dist], {
      cwd: packageRoot,
    });
  await chmod(join(dist, 'src/cli/main.js'), 0o755);
}

async function newest(path: string): Promise<number> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.mtimeMs;
  const inside = await Promise.all((await readdir(path)).map((name) => newest(join(path, name))));
  return Math.max(found.mtimeMs, ...inside);
}

async function linkDependencies(folder: string): Promise<void> {
  const lock = JSON.parse(await readFile(join(packageRoot, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  for (const [path, { dev }] of Object.entries(lock.packages)) {
    const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path) ?? [];
    if (name === undefined || dev === true || !existsSync(join(packageRoot, path))) continue;
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await symlink(join(packageRoot, path), join(folder, name));
  }
}

/** `npm run test:one PATH [-- arguments]`: runs one test file, in TypeScript or Python. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { packageRoot } from '../../src/base/package-root.js';

const [path, ...more] = process.argv.slice(2);
if (path === undefined || !/\.(test\.ts|py)$/.test(path)) {
  process.stderr.write('Name one test file: npm run test:one test/scoring/score.test.ts\n');
  process.exit(2);
}
if (!existsSync(path)) {
  process.stderr.write(`There is no file ${path} in ${process.cwd()}.\n`);
  process.exit(2);
}
const place = relative(packageRoot, resolve(path));
const project = place.endsWith('.integration.test.ts') ? 'integration' : 'unit';
const [program, ...args] = place.endsWith('.py')
  ? ['tsx', 'test/setup/run-pytest.ts', resolve(path)]
  : ['vitest', 'run', '--config', '.config/vitest.config.ts', '--project', project, place];
const { status, error } = spawnSync(program, [...args, ...more], { cwd: packageRoot, stdio: 'inherit' });
if (error !== undefined) process.stderr.write(`${error.message}\n`);
process.exitCode = status ?? 1;

/** `npm run test:python [-- pytest arguments]` (also lints without arguments), and `npm run format:python`. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { QalignError } from '../../src/base/errors.js';
import { packageRoot } from '../../src/base/package-root.js';
import { testPython } from './python.js';

const python = await testPython(['training', 'transformers']).catch((error: unknown) => {
  if (!(error instanceof QalignError) || error.code !== 'PYTHON_NOT_FOUND') throw error;
  process.stderr.write(`NOT RUN: tests of transformers. ${error.message}\n`); // an older Python than its oldest
  return testPython(['training']);
});
const run = (args: readonly string[]): number => {
  const { status, error } = spawnSync(python.executable, args, {
    cwd: join(packageRoot, 'python'),
    stdio: 'inherit',
    env: { ...process.env, ...python.env, PYTHONPATH: python.path },
  });
  if (error !== undefined) process.stderr.write(`${error.message}\n`);
  return status ?? 1;
};

const ALL = ['.', '../test/python'];
const lint = (): number => run(['-m', 'ruff', 'check', ...ALL]) || run(['-m', 'ruff', 'format', '--check', ...ALL]);
const test = (args: readonly string[]): number => run(['-m', 'pytest', '-q', '-rs', ...args]);

const own = process.argv.slice(2);
if (own[0] === '--format') process.exitCode = run(['-m', 'ruff', 'format', ...ALL]);
else if (own.length > 0) process.exitCode = test(own);
else {
  const found = lint();
  const failed = test(['../test/python']);
  process.exitCode = found || failed;
}

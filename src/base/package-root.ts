import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json, python/ and configs/. Works from the sources and from dist/. */
export const packageRoot: string = (() => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('qalign cannot find its package.json; reinstall the package');
    folder = parent;
  }
  return folder;
})();

/** Pictures and a clip that ship with the package, for benchmarks without pictures of your own. */
export const sampleMedia: string = join(packageRoot, 'test', 'fixtures', 'pictures');

/** The version in package.json. */
export const packageVersion: string = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
).version;

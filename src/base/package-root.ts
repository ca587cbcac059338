import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that holds package.json, python/ and configs/, found from the sources as well as from dist/. */
export const packageRoot: string = (() => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('qalign: its own package.json is missing; reinstall the package');
    folder = parent;
  }
  return folder;
})();

/** Pictures and a clip that come with the package, for figures without pictures of one's own. */
export const sampleMedia: string = join(packageRoot, 'test', 'fixtures', 'pictures');

/** The version in package.json. */
export const packageVersion: string = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
).version;

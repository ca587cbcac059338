/**
 * `tsx .config/reference-page.ts DIST`: a build step. Copies the files of swagger-ui-dist for the page `/docs`, with
 * their licences. As a dependency, that package would run an install script with telemetry for every user.
 */
import { cpSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const FILES = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'];
const LICENCES = ['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt'];

const from = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const to = join(process.argv[2] ?? 'dist', 'swagger-ui');
mkdirSync(to, { recursive: true });
for (const name of [...FILES, ...LICENCES]) cpSync(join(from, name), join(to, name));

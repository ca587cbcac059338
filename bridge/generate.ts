/**
 * `npm run generate [-- --check]`: JSON Schema and Python types from the TypeBox source. `--check` writes nothing and
 * exits 1 on drift.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pythonSource } from './generate-python.js';
import { SCHEMAS } from './protocol/index.js';

const ROOT = new URL('..', import.meta.url).pathname;
const SCHEMA_FOLDER = 'bridge/schema';

/** Path from the repository's root → content, of every generated file. */
function generatedFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    const document = {
      $schema: 'http://json-schema.org/draft-07/schema#',
      title: name,
      ...(JSON.parse(JSON.stringify(schema)) as object),
    };
    files.set(`${SCHEMA_FOLDER}/${name}.json`, `${JSON.stringify(document, null, 1)}\n`);
  }
  files.set('python/qalign/protocol.py', pythonSource());
  return files;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch {
    return undefined;
  }
}

/** Paths that differ from what the sources say, the leftovers of deleted messages included. */
export function drift(): string[] {
  const files = generatedFiles();
  const changed = [...files].filter(([path, content]) => read(path) !== content).map(([path]) => path);
  const leftover = readdirSync(join(ROOT, SCHEMA_FOLDER))
    .map((name) => `${SCHEMA_FOLDER}/${name}`)
    .filter((path) => !files.has(path));
  return [...changed, ...leftover];
}

/** The resampler's WebAssembly as TypeScript. Its compiler is a development dependency, so dist/ must not import it. */
async function resampleModule(): Promise<[path: string, content: string]> {
  const builder = (await import(new URL('./build-resample.ts', import.meta.url).href)) as {
    RESAMPLE_MODULE_PATH: string;
    buildResampleModule(): Promise<string>;
  };
  return [builder.RESAMPLE_MODULE_PATH, await builder.buildResampleModule()];
}

async function main(check: boolean): Promise<number> {
  mkdirSync(join(ROOT, SCHEMA_FOLDER), { recursive: true });
  const [modulePath, moduleContent] = await resampleModule();
  const stale = drift();
  if (read(modulePath) !== moduleContent) stale.push(modulePath);
  if (check) {
    for (const path of stale) console.error(`generated file is stale: ${path}; run "npm run generate"`);
    return stale.length === 0 ? 0 : 1;
  }
  const files = generatedFiles().set(modulePath, moduleContent);
  for (const path of stale) {
    const content = files.get(path);
    if (content === undefined) rmSync(join(ROOT, path));
    else writeFileSync(join(ROOT, path), content);
    console.log(`wrote ${path}`);
  }
  return 0;
}

if (process.argv[1] !== undefined && import.meta.url.endsWith(process.argv[1].split('/').pop() ?? '')) {
  process.exitCode = await main(process.argv.includes('--check'));
}

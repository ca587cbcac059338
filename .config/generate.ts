/**
 * `npm run generate [-- --check]`: writes all generated files. These are the protocol's JSON Schemas and Python types,
 * the types and schemas of recipes, the reference, and the resampler. `--check` writes nothing and exits with 1 if a
 * file is out of date.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildResampleModule, RESAMPLE_MODULE_PATH } from '../bridge/build-resample.js';
import { protocolFiles, SCHEMA_FOLDER } from '../bridge/generate.js';
import { inputFiles } from '../src/config/generate-inputs.js';
import { REFERENCE_FOLDER, referenceFiles } from './reference/index.js';

const ROOT = new URL('..', import.meta.url).pathname;
/** Folders with only generated files, where files of deleted schemas are removed. */
const OWN_FOLDERS = [SCHEMA_FOLDER, 'docs/schema', REFERENCE_FOLDER];

function read(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch {
    return undefined;
  }
}

/** The files that are out of date: path from the repository's root → expected content, or undefined to delete it. */
export async function drift(): Promise<Map<string, string | undefined>> {
  const files = new Map([
    ...protocolFiles(),
    ...inputFiles(),
    ...(await referenceFiles()),
    [RESAMPLE_MODULE_PATH, await buildResampleModule()],
  ]);
  const changed = [...files].filter(([path, content]) => read(path) !== content);
  const leftover = OWN_FOLDERS.flatMap((folder) => {
    mkdirSync(join(ROOT, folder), { recursive: true });
    return readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`);
  }).filter((path) => !files.has(path));
  return new Map([...changed, ...leftover.map((path) => [path, undefined] as const)]);
}

async function main(check: boolean): Promise<number> {
  const stale = await drift();
  if (check) {
    for (const path of stale.keys()) console.error(`generated file is out of date: ${path}; run "npm run generate"`);
    return stale.size === 0 ? 0 : 1;
  }
  for (const [path, content] of stale) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    if (content === undefined) rmSync(join(ROOT, path));
    else writeFileSync(join(ROOT, path), content);
    console.log(`wrote ${path}`);
  }
  return 0;
}

if (process.argv[1] !== undefined && import.meta.url.endsWith(`.config/${process.argv[1].split('/').pop() ?? ''}`)) {
  process.exitCode = await main(process.argv.includes('--check'));
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { packageRoot, packageVersion } from './package-root.js';

/** The versions that produced an output, saved with it. `commit` is null if qalign was installed from a package. */
export interface Provenance {
  readonly qalign: string;
  readonly commit: string | null;
  readonly node: string;
}

export async function provenance(): Promise<Provenance> {
  const commit = await promisify(execFile)('git', ['-C', packageRoot, 'rev-parse', 'HEAD']).then(
    (out) => out.stdout.trim(),
    () => null,
  );
  return { qalign: packageVersion, commit, node: process.version };
}

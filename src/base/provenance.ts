import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { packageRoot, packageVersion } from './package-root.js';

/** What made an output, to be saved beside it. `commit` is null where qalign was installed from a package. */
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

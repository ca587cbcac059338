import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { copyWhole } from '../../../src/cli/runs/export.js';

it('gives an exported model the modes of new files, not those of the run', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'qalign-export-'));
  const umask = process.umask(0o027);
  try {
    await mkdir(join(folder, 'model/sub'), { recursive: true });
    for (const name of ['model.safetensors', 'sub/config.json']) {
      await writeFile(join(folder, 'model', name), 'x');
      await chmod(join(folder, 'model', name), 0o600);
    }
    await copyWhole(join(folder, 'model'), join(folder, 'out'));
    const modes = await Promise.all(
      ['model.safetensors', 'sub', 'sub/config.json'].map(async (name) => (await stat(join(folder, 'out', name))).mode),
    );
    expect(modes.map((mode) => (mode & 0o777).toString(8))).toEqual(['640', '750', '640']);
  } finally {
    process.umask(umask);
    await rm(folder, { recursive: true });
  }
});

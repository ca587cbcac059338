import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { benchPrepare } from '../../../src/recipes/bench/prepare.js';

const python = process.env['QALIGN_PYTHON'] ?? 'python3';
const hasPillow = spawnSync(python, ['-c', 'import PIL']).status === 0;
const picture = fileURLToPath(new URL('../../fixtures/golden/pixels/inputs/jpg_420_17x9.jpg', import.meta.url));

describe('benchPrepare', () => {
  it('names the pip command to run', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'qalign-bench-test-'));
    const bare = join(folder, 'python');
    writeFileSync(bare, '#!/bin/sh\nexit 1\n');
    chmodSync(bare, 0o755);
    await expect(benchPrepare({ python: bare })).rejects.toMatchObject({
      code: 'PYTHON_NOT_FOUND',
      message: expect.stringContaining('-m pip install pillow') as string,
    });
    await expect(benchPrepare({ python: join(folder, 'nothing') })).rejects.toMatchObject({ code: 'PYTHON_NOT_FOUND' });
    rmSync(folder, { recursive: true });
  });

  if (!hasPillow) console.warn(`NOT RUN: the benchmark against Pillow needs it: ${python} -m pip install pillow`);
  it.skipIf(!hasPillow)('runs both implementations and finds equal bytes', async () => {
    const result = await benchPrepare({ python, files: [picture, picture], size: 56, rounds: 2, threads: 1 });
    expect(result).toMatchObject({ pictures: 2, size: 56, rounds: 2, identical: true, pool: { threads: 1 } });
    expect(result.speedup).toBeGreaterThan(0);
    expect(result.qalign_images_per_second).toBeGreaterThan(0);
  });

  it.skipIf(!hasPillow)(
    'ends with an error when one implementation cannot read its pictures, and leaves no process',
    async () => {
      await expect(benchPrepare({ python, files: ['/nowhere.jpg'], rounds: 1, threads: 1 })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    },
  );
});

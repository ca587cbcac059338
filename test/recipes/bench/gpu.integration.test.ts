import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensurePython } from '../../../src/engine/python/environment.js';
import { runGpuCheck } from '../../../src/recipes/bench/gpu.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-gpu-check-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const ON_CPU = ['--device', 'cpu', '--architecture', 'tiny', '--sections', 'environment', '--seconds', '5'];

it('runs the check in the managed Python and reads its file', async () => {
  const lines: string[] = [];
  const python = await ensurePython();
  const check = await runGpuCheck(python, join(folder, 'gpu.json'), ON_CPU, { onLine: (line) => lines.push(line) });
  expect(check).toMatchObject({ architecture: 'tiny', weights: 'random', ended: 'complete' });
  expect(check.sections['environment']?.figures.length).toBeGreaterThan(1);
  expect(lines[0]).toMatch(/^environment \(at most about \d+ s\)/);
}, 60_000);

it('reports why a check did not start', async () => {
  const started = runGpuCheck(await ensurePython(), join(folder, 'none', 'gpu.json'), ON_CPU, { onLine: () => {} });
  await expect(started).rejects.toMatchObject({
    code: 'WORKER_INTERNAL',
    message: expect.stringContaining('cannot be written') as string,
  });
}, 60_000);

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { chooseModel } from '../../src/config/models.js';
import { downloadNotice } from '../../src/recipes/models-here.js';
import { newLog, run } from '../cli/score/run-score.js';

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'qalign-hub-'));
  vi.stubEnv('HF_HUB_CACHE', cache);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

it('names size, source and licence of a model that has to be downloaded', async () => {
  const mini = await chooseModel({ model: 'q-realign-mini' });
  expect(downloadNotice(mini)).toBe(
    'q-realign-mini is not on this machine: about 1.8 GB will come from q-future/Q-ReAlign-Mini-0.8B; licence: see the model page',
  );
  expect(downloadNotice(await chooseModel({ model: 'hf:someone/their-vlm' }))).toBe(
    'hf:someone/their-vlm is not on this machine: files of unknown size will come from someone/their-vlm; licence: see the model page',
  );
  expect(downloadNotice(await chooseModel({ model: 'nano' }))).toBeUndefined();
  await mkdir(join(cache, 'models--q-future--Q-ReAlign-Mini-0.8B', 'snapshots', 'abc'), { recursive: true });
  expect(downloadNotice(mini)).toBeUndefined();
});

it('is printed by `qalign score` before the model is loaded, but not offline', async () => {
  const log = newLog();
  const { said } = await run(['a.jpg', '--model', 'q-realign-mini'], { log });
  expect(said[0]).toMatch(/^qalign: q-realign-mini is not on this machine: about 1\.8 GB/);
  const offline = await run(['a.jpg', '--model', 'q-realign-mini', '--offline']);
  expect(offline.said.join('\n')).not.toMatch(/not on this machine/);
  const zeroShot = await run(['a.jpg', '--model', 'hf:someone/their-vlm', '--offline']);
  expect(zeroShot.said.join('\n')).toMatch(/their-vlm was not taught to rate: these are zero-shot scores/);
});

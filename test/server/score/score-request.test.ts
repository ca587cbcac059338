import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fingerprintOf } from '../../../src/server/score/score-request.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-fingerprint-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('the fingerprint of a request does not depend on the location of its uploads', async () => {
  const bytes = Buffer.from('the bytes of a picture');
  const file = join(folder, 'spooled');
  await writeFile(file, bytes);
  const ofMemory = await fingerprintOf('/v1/score', { items: [{ name: 'a', media: bytes }] });
  expect(await fingerprintOf('/v1/score', { items: [{ name: 'a', media: file }] })).toBe(ofMemory);
  expect(await fingerprintOf('/v1/score', { items: [{ name: 'b', media: bytes }] })).not.toBe(ofMemory);
});

it('the fingerprint of a request depends on path, settings and items', async () => {
  const items = [{ id: 'a', url: 'https://example.org/a.jpg' }];
  const all = await Promise.all([
    fingerprintOf('/v1/score', { items }),
    fingerprintOf('/v1/rank', { items }),
    fingerprintOf('/v1/score', { items, tasks: ['quality'] }),
    fingerprintOf('/v1/score', { items: [...items, ...items] }),
  ]);
  expect(new Set(all).size).toBe(4);
});

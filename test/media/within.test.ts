import { copyFile, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { lookAt } from '../../src/media/media-kind.js';
import { createPreparer, type Preparer } from '../../src/media/preparer.js';
import { expandSources } from '../../src/media/sources.js';
import { thumbnail } from '../../src/media/thumbnail.js';
import { startSwapper } from './swapper.js';

const PICTURE = join(packageRoot, 'test/fixtures/golden/tiny_a/inputs/00.png');
const SIZE = 28;

let place: string;
let preparer: Preparer;
const at = (path: string): string => join(place, path);
/** What a writer below the root leaves there between the check and the opening. */
beforeAll(async () => {
  place = await realpath(await mkdtemp(join(tmpdir(), 'qalign-within-')));
  for (const folder of ['root/frames', 'outside/frames']) {
    await mkdir(at(folder), { recursive: true });
    await copyFile(PICTURE, at(`${folder}/0000.png`));
  }
  await mkdir(at('root/mixed'));
  await copyFile(PICTURE, at('root/mixed/0000.png'));
  await symlink(at('outside/frames/0000.png'), at('root/mixed/0001.png'));
  await symlink(at('outside/frames'), at('root/swapped'));
  await writeFile(at('outside/clip.mp4'), 'no clip');
  await symlink(at('outside/clip.mp4'), at('root/clip.mp4'));
  preparer = createPreparer();
});
afterAll(async () => {
  await preparer.close();
  await rm(place, { recursive: true, force: true });
});

const forbidden = { code: 'PATH_FORBIDDEN' };
const limits = () => ({ within: { top: at('root'), own: [] } });

describe('media that must lie below a folder', () => {
  it.each([
    ['a picture', 'swapped/0000.png', 'image'],
    ['a clip', 'clip.mp4', 'video'],
    ['a folder of frames', 'swapped', 'folder'],
    ['a frame of a folder', 'mixed', 'folder'],
  ] as const)('are not prepared elsewhere: %s', async (_what, path, kind) => {
    const prepared = preparer.prepare({ media: at(`root/${path}`), kind }, { size: SIZE, limits: limits() });
    await expect(prepared).rejects.toMatchObject(forbidden);
  });

  it('are prepared there, as without the limit', async () => {
    const source = { media: at('root/frames'), kind: 'folder' } as const;
    const confined = await preparer.prepare(source, { size: SIZE, limits: limits() });
    expect(confined).toEqual(await preparer.prepare(source, { size: SIZE }));
  });

  it('are not looked at, shown or distorted elsewhere', async () => {
    const path = at('root/swapped/0000.png');
    await expect(lookAt(path, limits())).rejects.toMatchObject(forbidden);
    await expect(thumbnail(path, 40, limits())).rejects.toMatchObject(forbidden);
    const plans = [{ own: true, distortions: [] }];
    await expect(preparer.copies(path, plans, { size: SIZE, limits: limits() })).rejects.toMatchObject(forbidden);
    expect(await thumbnail(path, 40)).toMatch(/^data:image\/jpeg/);
  });

  it('are not listed elsewhere', async () => {
    const found = [];
    for await (const source of expandSources([at('root/swapped')], { limits: limits() })) found.push(source);
    expect(found).toMatchObject([{ error: forbidden }]);
  });
});

it.runIf(process.platform === 'linux')('none is read while somebody swaps a folder and a link in a loop', async () => {
  for (const [folder, name] of [
    ['root/race', '00.png'],
    ['outside/race', '01.png'],
  ] as const) {
    await mkdir(at(folder));
    await copyFile(join(dirname(PICTURE), name), at(`${folder}/0.png`));
  }
  const options = { size: SIZE, limits: limits() };
  const source = { media: at('root/race/0.png'), kind: 'image' } as const;
  const inside = Buffer.from((await preparer.prepare(source, options)).data);
  const swapper = startSwapper(at('root/race'), at('outside/race'));
  const counts = { inside: 0, outside: 0, refused: 0 };
  try {
    const until = performance.now() + 1_500;
    while (performance.now() < until)
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          const made = await preparer.prepare(source, options).catch(() => undefined);
          counts[made === undefined ? 'refused' : inside.equals(made.data) ? 'inside' : 'outside'] += 1;
        }),
      );
  } finally {
    await swapper.end();
  }
  expect(counts.outside).toBe(0);
  expect(counts.inside).toBeGreaterThan(0);
  expect(counts.refused).toBeGreaterThan(0);
});

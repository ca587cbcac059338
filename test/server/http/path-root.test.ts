import { renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFile } from '../../../src/media/opened-file.js';
import { holdOutputInRoot, openInRoot, resolveInRoot, type FileRules } from '../../../src/server/http/path-root.js';
import { startSwapper } from '../../media/swapper.js';

let place: string;
let rules: FileRules;
beforeEach(async () => {
  place = await realpath(await mkdtemp(join(tmpdir(), 'qalign-root-')));
  for (const folder of ['root/pictures', 'root/service/uploads', 'root/runs/mine/model', 'outside'])
    await mkdir(join(place, folder), { recursive: true });
  await writeFile(join(place, 'root/pictures/a.png'), 'inside');
  await writeFile(join(place, 'root/service/uploads/b.png'), 'upload');
  await writeFile(join(place, 'outside/a.png'), 'outside');
  rules = { root: join(place, 'root'), own: [join(place, 'root/service'), join(place, 'root/runs')] };
});
afterEach(() => rm(place, { recursive: true, force: true }));

const forbidden = { code: 'PATH_FORBIDDEN' };

describe('the folders of the service itself', () => {
  it.each(['service/uploads/b.png', 'service/service.db', './service/uploads/b.png', 'linked/uploads/b.png'])(
    'are not read, though the root contains them: %s',
    async (path) => {
      await symlink(join(place, 'root/service'), join(place, 'root/linked'));
      await writeFile(join(place, 'root/service/service.db'), 'keys');
      await expect(resolveInRoot(rules, path)).rejects.toMatchObject(forbidden);
      await expect(openInRoot(rules, path)).rejects.toMatchObject(forbidden);
    },
  );

  it('are not read as folders, nor written into', async () => {
    await expect(resolveInRoot(rules, 'runs/mine/model', 'folder')).rejects.toMatchObject(forbidden);
    await expect(resolveInRoot(rules, 'service', 'either')).rejects.toMatchObject(forbidden);
    for (const what of ['file', 'folder'] as const)
      await expect(holdOutputInRoot(rules, 'service/jobs', what)).rejects.toMatchObject(forbidden);
    await expect(holdOutputInRoot(rules, 'service', 'folder')).rejects.toMatchObject(forbidden);
    const output = await holdOutputInRoot(rules, 'new', 'folder');
    await output.close();
    expect(output.name).toBe(join(place, 'root/new'));
    expect(await resolveInRoot(rules, '.', 'folder')).toBe(join(place, 'root'));
  });
});

describe('a file below the root', () => {
  it('is opened, and stays the same whatever is put in its place', async () => {
    const file = await openInRoot(rules, 'pictures/a.png');
    try {
      renameSync(join(place, 'root/pictures'), join(place, 'root/moved'));
      symlinkSync(join(place, 'outside'), join(place, 'root/pictures'));
      expect(file.below).toBe('pictures/a.png');
      if (file.path !== undefined) expect(await readFile(file.path, 'utf8')).toBe('inside');
    } finally {
      await file.close();
    }
    await expect(openInRoot(rules, 'pictures/a.png')).rejects.toMatchObject(forbidden);
  });

  it('that was swapped between check and opening is not given', async () => {
    const swapped = async (real: string): ReturnType<typeof openFile> => {
      renameSync(join(place, 'root/pictures'), join(place, 'root/moved'));
      symlinkSync(join(place, 'outside'), join(place, 'root/pictures'));
      return openFile(real);
    };
    await expect(openInRoot(rules, 'pictures/a.png', swapped)).rejects.toMatchObject(forbidden);
  });

  it('that became a link is not followed', async () => {
    const swapped = async (real: string): ReturnType<typeof openFile> => {
      unlinkSync(real);
      symlinkSync(join(place, 'outside/a.png'), real);
      return openFile(real);
    };
    await expect(openInRoot(rules, 'pictures/a.png', swapped)).rejects.toMatchObject({ code: 'MEDIA_UNREADABLE' });
  });

  it('is named in errors as the request names it', async () => {
    const gone = async (real: string): ReturnType<typeof openFile> => {
      unlinkSync(real);
      return openFile(real);
    };
    await expect(openInRoot(rules, 'pictures/a.png', gone)).rejects.toMatchObject({
      code: 'MEDIA_NOT_FOUND',
      message: expect.stringMatching(/^"pictures\/a\.png" does not exist/) as string,
    });
  });
});

describe('without /proc', () => {
  const bare = (real: string): ReturnType<typeof openFile> => openFile(real, '/there/is/no/proc');

  it('the file is found again by its name', async () => {
    const file = await openInRoot(rules, 'pictures/a.png', bare);
    await file.close();
    expect([file.path, file.below]).toEqual([undefined, 'pictures/a.png']);
  });

  it('one that is another by then is not given', async () => {
    const swapped = async (real: string): ReturnType<typeof openFile> => {
      const opening = bare(real);
      renameSync(real, `${real}.old`);
      writeFileSync(real, 'another');
      return opening;
    };
    // either the new file was opened, or the old one was seen to be replaced
    const found = await openInRoot(rules, 'pictures/a.png', swapped).catch((error: unknown) => error);
    if (found instanceof Error) expect(found).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    else await (found as { close(): Promise<void> }).close();
  });
});

it.runIf(process.platform === 'linux')(
  'gives no file outside while somebody swaps a folder and a link in a loop',
  async () => {
    const swapper = startSwapper(join(place, 'root/pictures'), join(place, 'outside'));
    const counts = { inside: 0, outside: 0, refused: 0 };
    try {
      const until = performance.now() + 3_000;
      while (performance.now() < until && counts.inside + counts.refused < 20_000)
        await Promise.all(
          Array.from({ length: 8 }, async () => {
            const file = await openInRoot(rules, 'pictures/a.png').catch(() => undefined);
            if (file === undefined) return void counts.refused++;
            const text = await readFile(file.path ?? '', 'utf8');
            await file.close();
            counts[text === 'inside' ? 'inside' : 'outside'] += 1;
          }),
        );
    } finally {
      await swapper.end();
    }
    expect(counts.outside).toBe(0);
    expect(counts.inside).toBeGreaterThan(20);
    expect(counts.refused).toBeGreaterThan(20);
  },
);

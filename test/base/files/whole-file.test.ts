import { mkdir, mkdtemp, open, readdir, readFile, rm, utimes, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pidNamespace, startOf } from '../../../bridge/process.js';
import { draftOf, isLeftover } from '../../../src/base/files/draft.js';
import { makeWhole, openWhole, writeWhole } from '../../../src/base/files/whole-file.js';

/** Above the largest pid of Linux, 2²². */
const GONE = 4_194_305;

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-whole-'));
  path = join(folder, 'a.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the name of a draft', () => {
  it('is unique, and counts as a leftover only if its process has ended or its pid was reused', async () => {
    const [one, other] = [draftOf('/x/a.json').path, draftOf('/x/a.json').path];
    expect(one).not.toBe(other);
    expect(await isLeftover(folder, one.slice('/x/'.length), 'a.json')).toBe(false);
    const start = startOf(process.pid);
    const cases: [string, boolean][] = [
      [`a.json.${process.pid}-${start}-0123ab.part`, false],
      [`a.json.${process.pid}-${start}9-0123ab.part`, true],
      [`a.json.${GONE}-${start}-0123ab.part`, true],
      [`a.json.${process.pid}-${start}n${pidNamespace}-0123ab.part`, false],
      [`a.json.${GONE}-${start}n${pidNamespace}-0123ab.part`, true],
      [`a.json.${GONE}.part`, true],
      [`a.json.${process.pid}.part`, false],
      [`b.json.${GONE}.part`, false],
      // files that users can have beside it
      ['a.json.part', false],
      ['a.json.part-1', false],
      [`a.json.${GONE}`, false],
      [`a.json.${GONE}-1.part`, false],
      ['a.json', false],
    ];
    for (const [name, left] of cases) expect([name, await isLeftover(folder, name, 'a.json')]).toEqual([name, left]);
  });

  it('of another PID namespace is that of a leftover only when nothing was written for a day', async () => {
    const name = `a.json.${GONE}-1n1-0123ab.part`;
    await writeFile(join(folder, name), '');
    expect(await isLeftover(folder, name, 'a.json')).toBe(false);
    await utimes(join(folder, name), 1, 1);
    expect(await isLeftover(folder, name, 'a.json')).toBe(true);
  });
});

describe('openWhole', () => {
  it('shows nothing before commit, and nothing ever after discard', async () => {
    const file = await openWhole(join(folder, 'new', 'a.json'));
    for (let i = 0; i < 50_000; i++) await file.write(`line ${i}\n`);
    expect(await readdir(join(folder, 'new'))).toEqual([expect.stringMatching(/^a\.json\..*\.part$/)]);
    await file.commit();
    await file.discard();
    expect((await readFile(join(folder, 'new', 'a.json'), 'utf8')).split('\n')).toHaveLength(50_001);
    const other = await openWhole(path);
    await other.write('half');
    await other.discard();
    expect(await readdir(folder)).toEqual(['new']);
  });

  it('lets two writers of one file finish one after the other, each with a complete file', async () => {
    const [one, two] = [await openWhole(path), await openWhole(path)];
    await one.write('one');
    await two.write('two');
    await one.commit();
    expect(await readFile(path, 'utf8')).toBe('one');
    await two.commit();
    expect(await readFile(path, 'utf8')).toBe('two');
    expect(await readdir(folder)).toEqual(['a.json']);
  });

  it('reports what it could not write, with the message of its caller', async () => {
    await mkdir(path);
    await expect(openWhole(path)).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: `${path} could not be written: it is a folder.`,
    });
    const options = { makeFolder: false, sentence: ({ code }: NodeJS.ErrnoException): string => `no: ${code}` };
    await expect(openWhole(join(folder, 'none', 'a'), options)).rejects.toMatchObject({ message: 'no: ENOENT' });
    expect(await readdir(folder)).toEqual(['a.json']);
  });

  it('keeps the earlier file if the new one cannot be renamed', async () => {
    const file = await openWhole(path);
    await file.write('new');
    await mkdir(path);
    await writeFile(join(path, 'kept'), '');
    await expect(file.commit()).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    await file.discard();
    expect(await readdir(folder)).toEqual(['a.json']);
    expect(await readdir(path)).toEqual(['kept']);
  });
});

describe('writeWhole', () => {
  it('on a full disk keeps the earlier file and leaves no draft', async () => {
    await writeWhole(path, 'old');
    const handle = await open(path);
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    for (const method of ['writeFile', 'sync'] as const) {
      const failing = vi.spyOn(prototype, method).mockRejectedValue(full);
      await expect(writeWhole(path, 'new')).rejects.toMatchObject({
        code: 'OUTPUT_UNWRITABLE',
        message: `${path} could not be written: no space is left on the disk.`,
        cause: full,
      });
      failing.mockRestore();
    }
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['a.json']);
  });

  it('replaces a file, and keeps it if the text cannot be written', async () => {
    await writeWhole(path, 'old');
    await writeWhole(path, 'new');
    expect(await readFile(path, 'utf8')).toBe('new');
    await expect(writeWhole(join(path, 'below'), '')).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    expect(await readdir(folder)).toEqual(['a.json']);
  });
});

describe('makeWhole', () => {
  it('creates a file or folder atomically, and returns the result', async () => {
    const made = await makeWhole(join(folder, 'frames'), async (draft) => {
      await mkdir(draft);
      await writeFile(join(draft, '0000.png'), 'a');
      expect(await readdir(folder)).not.toContain('frames');
      return 1;
    });
    expect(made).toBe(1);
    await makeWhole(path, (draft) => writeFile(draft, 'b'));
    expect((await readdir(folder)).sort()).toEqual(['a.json', 'frames']);
    expect(await readdir(join(folder, 'frames'))).toEqual(['0000.png']);
  });

  it('leaves no files after a failure, and throws the original error', async () => {
    const failure = new Error('no more frames');
    const work = makeWhole(join(folder, 'frames'), async (draft) => {
      await mkdir(draft);
      await writeFile(join(draft, '0000.png'), 'a');
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await readdir(folder)).toEqual([]);
  });

  it('does not replace a folder that holds something', async () => {
    await mkdir(path);
    await writeFile(join(path, 'kept'), '');
    await expect(makeWhole(path, (draft) => mkdir(draft))).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    expect(await readdir(folder)).toEqual(['a.json']);
    expect(await readdir(path)).toEqual(['kept']);
  });

  it('removes drafts of dead processes, including folders', async () => {
    const left = [`a.json.${GONE}-17-0123ab.part`, `a.json.${GONE}.part`];
    await mkdir(join(folder, left[0]!));
    await writeFile(join(folder, left[0]!, 'half'), '');
    await writeFile(join(folder, left[1]!), 'half');
    const living = draftOf(path).path;
    await writeFile(living, 'half');
    await makeWhole(path, (draft) => writeFile(draft, 'whole'));
    expect((await readdir(folder)).map((name) => join(folder, name)).sort()).toEqual([living, path].sort());
  });

  it('lets several writers create the same file concurrently', async () => {
    const all = Array.from({ length: 8 }, (_, i) =>
      makeWhole(path, (draft) => writeFile(draft, `${i}`.repeat(10_000))),
    );
    await Promise.all(all);
    expect(await readFile(path, 'utf8')).toMatch(/^(\d)\1{9999}$/);
    expect(await readdir(folder)).toEqual(['a.json']);
  });
});

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import {
  guardWrite,
  isDiskFull,
  isWriteError,
  makeFolder,
  unwritablePlace,
} from '../../../src/base/files/unwritable.js';

const failing = (code: string): NodeJS.ErrnoException => Object.assign(new Error(`${code}: no`), { code });

describe('errors of writing', () => {
  it.each([
    ['ENOSPC', true, true],
    ['EDQUOT', true, true],
    ['SQLITE_FULL', true, true],
    ['SQLITE_IOERR_WRITE', true, true],
    ['EFBIG', false, true],
    ['EIO', false, true],
    ['EMFILE', false, true],
    ['EACCES', false, true],
    ['EROFS', false, true],
    ['ENOENT', false, false],
    ['ECONNRESET', false, false],
    ['SQLITE_BUSY', false, false],
  ])('%s', (code, full, write) => {
    expect([isDiskFull(failing(code)), isWriteError(failing(code))]).toEqual([full, write]);
  });

  it('need an error code', () => {
    for (const thrown of [new Error('no'), undefined, null, 'ENOSPC', { code: 28 }])
      expect(isWriteError(thrown)).toBe(false);
  });

  it('become OUTPUT_UNWRITABLE with the message of the caller', async () => {
    const full = guardWrite(
      async () => {
        const file = await open('/dev/full', 'w');
        await file.writeFile('x').finally(() => file.close());
      },
      ({ code, message }) => `x cannot be written (${code}: ${message}).`,
    );
    await expect(full).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringMatching(/^x cannot be written \(ENOSPC: /) as string,
      cause: { code: 'ENOSPC' },
    });
  });

  it('do not include an error in the data, which free space does not fix', async () => {
    const parse = guardWrite(
      async () => JSON.parse('{"torn') as unknown,
      () => 'no',
    );
    await expect(parse).rejects.toBeInstanceOf(SyntaxError);
  });

  it('do not include an error that already has a code', async () => {
    const known = new QalignError('RUN_ACTIVE', 'It is being trained.');
    await expect(
      guardWrite(
        () => Promise.reject(known),
        () => 'no',
      ),
    ).rejects.toBe(known);
  });

  it.each([
    ['mkdir', 'ENOENT', true],
    ['mkdir', 'EROFS', true],
    ['rename', 'EXDEV', true],
    ['open', 'EROFS', true],
    ['open', 'ENOENT', false],
    ['scandir', 'EACCES', false],
    ['connect', 'EACCES', false],
  ])('of %s %s name the path when no caller handles them: %s', (syscall, code, caught) => {
    const error = unwritablePlace(Object.assign(failing(code), { syscall, path: '/x' }));
    expect(error?.code).toBe(caught ? 'OUTPUT_UNWRITABLE' : undefined);
    if (caught) expect(error?.message).toMatch(/^\/x cannot be written .*choose a writable folder/);
  });

  it('of a folder state what to do', async () => {
    const place = join(fileURLToPath(import.meta.url), 'folder');
    await expect(makeFolder(place, 'name another')).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringMatching(
        /^The folder .*folder cannot be written \(a part of its path is not a folder\); name another\.$/,
      ) as string,
    });
  });
});

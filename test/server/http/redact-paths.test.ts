import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ScoreOutcome } from '../../../src/api/result.js';
import { QalignError } from '../../../src/base/errors.js';
import { createRedactor, errorWithoutPath, withoutPath } from '../../../src/server/http/redact-paths.js';

let top: string;
beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'qalign-redact-'));
  await mkdir(join(top, 'real/inner'), { recursive: true });
  await symlink(join(top, 'real'), join(top, 'link'));
});
afterAll(() => rm(top, { recursive: true, force: true }));

describe('a redactor', () => {
  it('removes its folders from every text of a value, the inner one first', () => {
    const { redact } = createRedactor([join(top, 'real'), join(top, 'real/inner')]);
    expect(
      redact({
        file: join(top, 'real/a.jpg'),
        list: [join(top, 'real/inner/b.jpg'), join(top, 'real'), 'elsewhere/c.jpg'],
        count: 3,
        none: null,
      }),
    ).toEqual({ file: 'a.jpg', list: ['b.jpg', '.', 'elsewhere/c.jpg'], count: 3, none: null });
    expect(redact(`${top}/real/a.jpg is not there`)).toBe('a.jpg is not there');
  });

  it('recognises the target of a linked folder, and a folder that does not exist yet', () => {
    const { redact } = createRedactor([join(top, 'link'), join(top, 'later')]);
    expect([join(top, 'link/a'), join(top, 'real/a'), join(top, 'later/a')].map((path) => redact(path))).toEqual([
      'a',
      'a',
      'a',
    ]);
  });

  it('does not change the value that it gets', () => {
    const given = { file: join(top, 'real/a.jpg') };
    createRedactor([top]).redact(given);
    expect(given.file).toBe(join(top, 'real/a.jpg'));
  });

  it('keeps code and details of errors, and redacts their message', async () => {
    const { redactError } = createRedactor([top]);
    const error = new QalignError('MEDIA_NOT_FOUND', `There is no ${top}/a.jpg.`, { details: { retry_after_s: 1 } });
    await expect(redactError(error)).rejects.toMatchObject({
      code: 'MEDIA_NOT_FOUND',
      message: 'There is no a.jpg.',
      details: { retry_after_s: 1 },
      cause: error,
    });
    const other = new Error(`${top}/a.jpg`);
    await expect(redactError(other)).rejects.toBe(other);
  });
});

describe('the outcome of an item', () => {
  const failed: ScoreOutcome = {
    schema_version: 2,
    input: 'mine.jpg',
    task: 'quality',
    error: { code: 'MEDIA_CORRUPT', message: '/spool/1234 cannot be decoded: /spool/1234 ends early.' },
  };

  it('names the item, not its file', () => {
    expect(withoutPath(failed, '/spool/1234')).toEqual({
      ...failed,
      error: { code: 'MEDIA_CORRUPT', message: 'mine.jpg cannot be decoded: mine.jpg ends early.' },
    });
  });

  it('names the item also if the path is quoted, or cut off at a line break', () => {
    const media = '/srv/in "1"/two\nlines.jpg';
    const message = `${JSON.stringify(media)} may not be read. Error opening input file:/srv/in "1"/two`;
    const hidden = '"mine.jpg" may not be read. Error opening input file:two';
    const error = { code: 'MEDIA_UNREADABLE' as const, message };
    expect(withoutPath({ ...failed, error }, media)).toMatchObject({ error: { message: hidden } });
    expect(errorWithoutPath(new QalignError(error.code, message), media, 'mine.jpg')).toMatchObject({
      code: error.code,
      message: hidden,
    });
  });

  it('is unchanged if the item was in memory or had no media', () => {
    expect(withoutPath(failed, new Uint8Array(1))).toBe(failed);
    expect(withoutPath(failed, undefined)).toBe(failed);
  });
});

import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ScoreOutcome } from '../../../src/api/result.js';
import { packageRoot } from '../../../src/base/package-root.js';
import { cli } from '../terminal/terminal-double.js';

const FIXTURES = join(packageRoot, 'test/fixtures');
const PICTURE = join(FIXTURES, 'pictures/pristine.jpg');

let folder: string;
/** A realistic folder with every kind of good and bad file. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-folder-'));
  for (const name of [
    'one.jpg',
    'no ending',
    'wrong.txt',
    '.hidden.jpg',
    '.Trash/two.jpg',
    'esc\u001b[31m.jpg',
    '=1+1.jpg',
  ])
    await cp(PICTURE, join(folder, name));
  await writeFile(Buffer.concat([Buffer.from(`${folder}/a`), Buffer.from([0xff, 0xe9])]), readFileSync(PICTURE));
  await mkdir(join(folder, 'clips'));
  for (const name of ['recording.webm', 'encrypted.mp4', 'damaged_first_picture.mp4', 'tiny.y4m', '._appledouble.jpg'])
    await cp(join(FIXTURES, 'cases', name), join(folder, 'clips', name));
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'notes.md'), '# Notes\n');
  await writeFile(join(folder, 'page.jpg'), '<!doctype html><title>Not found</title>');
  await writeFile(join(folder, 'pointer.png'), 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n');
  await writeFile(join(folder, 'cut.jpg'), readFileSync(PICTURE).subarray(0, 2000));
  await writeFile(join(folder, 'none.png'), '');
  await symlink(folder, join(folder, 'round'));
  execFileSync('mkfifo', [join(folder, 'pipe.jpg')]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const score = (...args: string[]) => cli('score', folder, '--model', 'tiny-untrained', ...args);

it('is scored as far as possible, and the last lines report the result of every file', async () => {
  const { out, said, code } = await score('--format', 'jsonl', join(folder, 'empty'), join(folder, 'one.jpg'));
  expect(code).toBe(1);
  const rows = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ScoreOutcome);
  const names = (wanted: (row: ScoreOutcome) => boolean): string[] =>
    rows.filter(wanted).map(({ input }) => input.slice(folder.length + 1));
  expect(names((row) => !('error' in row)).sort()).toEqual(
    [
      '=1+1.jpg',
      'a\ufffd\ufffd',
      'clips/damaged_first_picture.mp4',
      'clips/recording.webm',
      'clips/tiny.y4m',
      'esc\u001b[31m.jpg',
      'no ending',
      'one.jpg',
      'wrong.txt',
    ].sort(),
  );
  expect(
    Object.fromEntries(
      rows.flatMap((row) => ('error' in row ? [[row.input.slice(folder.length + 1), row.error.code]] : [])),
    ),
  ).toEqual({
    'clips/encrypted.mp4': 'MEDIA_ENCRYPTED',
    'cut.jpg': 'MEDIA_CORRUPT',
    'none.png': 'MEDIA_CORRUPT',
    'page.jpg': 'MEDIA_UNSUPPORTED',
    'pointer.png': 'MEDIA_UNSUPPORTED',
  });
  expect(names((row) => 'warnings' in row && row.warnings.length > 0)).toEqual(['clips/damaged_first_picture.mp4']);
  expect(rows.find(({ input }) => input.endsWith('a\ufffd\ufffd'))).toMatchObject({
    input_base64: Buffer.concat([Buffer.from(`${folder}/a`), Buffer.from([0xff, 0xe9])]).toString('base64'),
  });
  expect(rows.every((row) => row.file_size !== undefined)).toBe(true);
  expect(said.slice(-3)).toEqual([
    `qalign: ${join(folder, 'empty')} contains no picture or clip`,
    'qalign: skipped 7 entries: 1 not pictures or clips (.md 1); 3 hidden (use --hidden to score them); 1 pipes, sockets or devices; 1 linked folders; 1 named more than once and scored once',
    expect.stringMatching(/^qalign: 9 scored, 5 failed, 1 with warnings, mean \d\.\d\d, [\d.]+\/s$/),
  ]);
  // eslint-disable-next-line no-control-regex
  expect(said.join('')).not.toMatch(/[\u0000-\u001f]/);
});

it('can be filtered by name, and includes hidden pictures on request', async () => {
  const { out } = await score('--format', 'jsonl', '--include', '*.jpg', '--exclude', 'page.*', '--hidden');
  const inputs = out
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as ScoreOutcome).input.slice(folder.length + 1));
  expect(inputs.sort()).toEqual(
    ['.Trash/two.jpg', '.hidden.jpg', '=1+1.jpg', 'cut.jpg', 'esc\u001b[31m.jpg', 'one.jpg'].sort(),
  );
});

it('scores changed files again, detected by time or by hash', async () => {
  const out = join(folder, '..', `qalign-folder-${process.pid}.csv`);
  const line = [
    join(folder, 'one.jpg'),
    join(folder, 'wrong.txt'),
    '--model',
    'tiny-untrained',
    '--out',
    out,
    '--verify',
    'hash',
  ];
  try {
    expect((await cli('score', ...line)).code).toBe(0);
    await utimes(join(folder, 'one.jpg'), 1, 1);
    expect((await cli('score', ...line, '--resume')).said.at(-1)).toContain('0 scored, 2 scored before');
    await cp(join(FIXTURES, 'pictures/blurred.jpg'), join(folder, 'one.jpg'));
    const again = await cli('score', ...line, '--resume');
    expect(again.said.at(-1)).toContain('1 scored, 1 scored before, 1 changed and scored again');
    expect(readFileSync(out, 'utf8').trim().split('\n')).toHaveLength(3);
  } finally {
    await rm(out, { force: true });
    await cp(PICTURE, join(folder, 'one.jpg'));
  }
});

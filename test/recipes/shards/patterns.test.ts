import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expandBraces } from '../../../src/recipes/shards/braces.js';
import { expandShards, parsePart, partOf } from '../../../src/recipes/shards/expand.js';
import { parseKeep } from '../../../src/recipes/shards/keep.js';
import { commonFolder, kindOfShard, outputName, parseS3 } from '../../../src/recipes/shards/names.js';
import type { ScoreOutcome } from '../../../src/api/result.js';

describe('braces', () => {
  it.each([
    ['{00008..00011}.tar', ['00008.tar', '00009.tar', '00010.tar', '00011.tar']],
    ['{8..10}', ['8', '9', '10']],
    ['{3..1}', ['3', '2', '1']],
    ['{0..10..5}', ['0', '5', '10']],
    ['{a,b}-{1..2}', ['a-1', 'a-2', 'b-1', 'b-2']],
    ['x{a,b{1..2}}', ['xa', 'xb1', 'xb2']],
    ['plain{}{x}.tar', ['plain{}{x}.tar']],
    ['{a', ['{a']],
  ])('%s', (pattern, names) => expect(expandBraces(pattern)).toEqual(names));

  it('refuse more than a million names', () => {
    expect(() => expandBraces('{0..9999999}')).toThrow(/more than 1000000 names/);
    expect(() => expandBraces('{0..9999}{0..9999}')).toThrow(/more than 1000000 names/);
  });
});

describe('names', () => {
  it('of results keep the folders below the common one', () => {
    const shards = ['s3://b/x/a/0.tar', 's3://b/x/c/d/1.parquet'];
    expect(commonFolder(shards)).toBe('s3://b/x/');
    expect(shards.map((shard) => outputName(shard, 'parquet', commonFolder(shards)))).toEqual([
      'a/0.scores.parquet',
      'c/d/1.scores.parquet',
    ]);
    expect(outputName('s3://b/x/a/0.tar.gz', 'jsonl')).toBe('0.scores.jsonl');
    expect(commonFolder(['s3://a/0.tar', 's3://b/0.tar'])).toBe('');
    expect(commonFolder(['/a/0.tar', 's3://b/0.tar'])).toBe('');
    expect(commonFolder(['/a/0.tar', '/b/0.tar'])).toBe('/');
    expect(outputName('s3://a/0.tar', 'jsonl', '')).toBe('a/0.scores.jsonl');
    expect(outputName('../up/../../0.tar', 'jsonl', '')).toBe('0.scores.jsonl');
  });

  it('of shards have a known ending, and addresses a bucket', () => {
    expect(kindOfShard('A.TAR')).toBe('tar');
    expect(() => kindOfShard('a.zip')).toThrow(/shards end in/);
    expect(parseS3('s3://b/k/l')).toEqual({ bucket: 'b', key: 'k/l' });
    expect(() => parseS3('s3:///k')).toThrow(/s3:\/\/BUCKET\/KEY/);
  });
});

describe('expandShards', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qalign-patterns-'));
    await mkdir(join(folder, 'b'));
    for (const name of ['1.tar', '0.tar', 'b/0.tar', 'b/note.md']) await writeFile(join(folder, name), '');
    await writeFile(join(folder, 'all.txt'), `# a list\n${folder}/b/*.tar\n\n${folder}/{7..8}.parquet\n`);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('sorts and counts the shards of globs, braces and lists', async () => {
    const shards = await expandShards([`${folder}/*.tar`, `${folder}/0.tar`, `${folder}/all.txt`]);
    expect(shards.map(({ shard, index, output }) => [shard.slice(folder.length + 1), index, output])).toEqual([
      ['0.tar', 0, '0.scores.parquet'],
      ['1.tar', 1, '1.scores.parquet'],
      ['7.parquet', 2, '7.scores.parquet'],
      ['8.parquet', 3, '8.scores.parquet'],
      ['b/0.tar', 4, 'b/0.scores.parquet'],
    ]);
  });

  it('refuses a glob without a match, an unknown ending and two results of one name', async () => {
    await expect(expandShards([`${folder}/*.jsonl`])).rejects.toMatchObject({ code: 'SHARD_NOT_FOUND' });
    await expect(expandShards([`${folder}/b/*`])).rejects.toThrow(/note.md is no shard/);
    await expect(expandShards(['a.tar', 'a.parquet'])).rejects.toThrow(/would have the same name/);
    await expect(expandShards([`${folder}/none.txt`])).rejects.toMatchObject({ code: 'SHARD_NOT_FOUND' });
  });

  it('leaves out the files that a run writes beside its inputs', async () => {
    const beside = join(folder, 'beside');
    await mkdir(beside);
    for (const name of ['0.parquet', '1.jsonl', 'qalign-manifest.txt.jsonl']) await writeFile(join(beside, name), '');
    const wanted = await expandShards([`${beside}/*`]);
    expect(wanted).toHaveLength(3);
    for (const name of [
      ...['0.scores.parquet', '1.scores.jsonl', '1.scores.jsonl.meta.json', '0.keep.txt'],
      ...['qalign-manifest.jsonl', 'qalign-manifest-3-of-16.jsonl'],
    ])
      await writeFile(join(beside, name), '');
    expect(await expandShards([`${beside}/*`])).toEqual(wanted);
    expect(await expandShards([`${beside}/{0,0.scores}.parquet`])).toHaveLength(1);
    await expect(expandShards([`${beside}/*.scores.parquet`])).rejects.toMatchObject({ code: 'SHARD_NOT_FOUND' });
    await expect(expandShards([`${beside}/0.scores.parquet`])).rejects.toMatchObject({ code: 'SHARD_NOT_FOUND' });
  });

  it('counts the spellings of a path once', async () => {
    const away = relative(process.cwd(), folder);
    const spellings = [`${away}/./b/0.tar`, `${folder}//b/0.tar`, `${folder}/b/*.tar`, `./${away}/b/{0..0}.tar`];
    expect(await expandShards(spellings)).toEqual([{ shard: `${away}/b/0.tar`, index: 0, output: '0.scores.parquet' }]);
    expect(await expandShards(['./a.tar', 'a.tar', 's3://b/a.tar', 's3://b/c//a.tar'])).toHaveLength(3);
    // other keys of object storage
    await expect(expandShards(['s3://b/a.tar', 's3://b//a.tar'])).rejects.toThrow(/would have the same name/);
    // the folder can be a link
    await expect(expandShards(['a/../b.tar', 'b.tar'])).rejects.toThrow(/would have the same name/);
  });

  it('names results by the pattern, so that a new folder moves none', async () => {
    const place = join(folder, 'moves');
    await mkdir(join(place, 'x'), { recursive: true });
    await writeFile(join(place, 'x', '0.tar'), '');
    const outputs = async (...patterns: string[]): Promise<(string | undefined)[]> =>
      (await expandShards(patterns)).map(({ output }) => output);
    expect(await outputs(`${place}/*/*.tar`)).toEqual(['x/0.scores.parquet']);
    await mkdir(join(place, 'y'));
    await writeFile(join(place, 'y', '0.tar'), '');
    expect(await outputs(`${place}/*/*.tar`)).toEqual(['x/0.scores.parquet', 'y/0.scores.parquet']);
    expect(await outputs('s3://b/{x,y/z}/0.tar')).toEqual(['x/0.scores.parquet', 'y/z/0.scores.parquet']);
    expect(await outputs('d/x/0.tar')).toEqual(['0.scores.parquet']);
    expect(await outputs('d/x/0.tar', 'd/{8..9}.tar')).toHaveLength(3);
    expect(await outputs('../d/{0..1}.tar')).toEqual(['0.scores.parquet', '1.scores.parquet']);
    expect(await outputs('/d/0.tar', 's3://b/0.tar')).toEqual(['d/0.scores.parquet', 'b/0.scores.parquet']);
  });

  it('refuses a list without shards', async () => {
    await writeFile(join(folder, 'empty.txt'), '# nothing\n\n');
    await expect(expandShards([`${folder}/empty.txt`])).rejects.toMatchObject({ code: 'SHARD_NOT_FOUND' });
  });

  it('divides a list into parts that keep the positions', async () => {
    const shards = await expandShards(['{0..6}.tar']);
    const parts = ['1/3', '2/3', '3/3'].map((text) => partOf(shards, parsePart(text)).map(({ index }) => index));
    expect(parts).toEqual([
      [0, 3, 6],
      [1, 4],
      [2, 5],
    ]);
    for (const wrong of ['0/3', '4/3', '1', 'a/b']) expect(() => parsePart(wrong)).toThrow(/must be I\/N/);
  });
});

describe('the condition of --keep', () => {
  const row = {
    score: 3.5,
    level_probs: { excellent: 0.1, good: 0.5, fair: 0.3, poor: 0.05, bad: 0.05 },
    logits: {},
    width: 512,
    model: {},
    prompt: {},
    preprocessing: {},
    warnings: [],
  } as unknown as ScoreOutcome;

  it.each([
    ['score>=3.5', true],
    ['score > 3.5', false],
    ['score>=3.5 and width>=512 AND p_good<0.6', true],
    ['score>=3.5 and width<512', false],
    ['frames>=0', false],
  ])('%s is %s', (text, kept) => expect(parseKeep(text).accepts(row)).toBe(kept));

  it('does not accept a failed row', () => {
    const failed = { error: { code: 'X', message: 'x' } } as unknown as ScoreOutcome;
    expect(parseKeep('score>=0').accepts(failed)).toBe(false);
  });

  it.each(['', 'score', 'score=3', 'score>=x', 'scores>=3', 'score>=3 or width>3', 'score>=3;', 'toString>=1'])(
    'refuses %j',
    (text) => expect(() => parseKeep(text)).toThrow(/--keep/),
  );

  it('has one text for all ways to write it', () => {
    expect(parseKeep(' Score >= 3.50  and  width>1e2 ').text).toBe('score>=3.5 and width>100');
  });
});

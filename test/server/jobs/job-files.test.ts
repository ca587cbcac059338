import { mkdtemp, open, readFile, readdir, rm, truncate, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'csv-parse/sync';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import type { ScoreOutcome } from '../../../src/api/result.js';
import { readManifest, writeManifest } from '../../../src/server/jobs/manifest.js';
import { openResults, resultsFile } from '../../../src/server/jobs/results.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-job-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function* pieces(text: string | Buffer, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('the list of a job', () => {
  const write = (text: string | Buffer, size = 5, most = 1e6): Promise<{ total: number; sha256: string }> =>
    writeManifest(join(folder, 'list'), pieces(text, size), most);
  const read = async (skip = 0): Promise<unknown[]> => {
    const items: unknown[] = [];
    for await (const { index, item } of readManifest(join(folder, 'list'), skip)) items.push([index, item]);
    return items;
  };

  it('has one item per line, with CRLF, a byte order mark, blank lines and an unterminated last line', async () => {
    const text = '\ufeffa é.jpg\r\n\r\n  \nhttps://x/y.png\r\n{"path": "b\u2028.jpg"}\r\nlast.jpg';
    expect(await write(text)).toMatchObject({ total: 4 });
    const items = [{ path: 'a é.jpg' }, { url: 'https://x/y.png' }, { path: 'b\u2028.jpg' }, { path: 'last.jpg' }];
    expect(await read()).toEqual(items.map((item, i) => [i, item]));
    expect(await read(2)).toEqual(items.map((item, i) => [i, item]).slice(2));
  });

  it('is the same for all chunk sizes, and reports its errors', async () => {
    const hashes = new Set<string>();
    for (const size of [1, 3, 1000]) {
      hashes.add((await write('é.jpg\n漢.png\n', size)).sha256);
      await rm(join(folder, 'list'));
    }
    expect(hashes.size).toBe(1);
    for (const [text, code, message] of [
      ['', 'BODY_INVALID', /empty/],
      ['a\n{"pat', 'BODY_INVALID', /Item 2 of the list is not JSON/],
      [Buffer.from([0x61, 0x0a, 0xe4, 0x0a]), 'BODY_INVALID', /not UTF-8/],
      [Buffer.from([0x61, 0x0a, 0xe6, 0xbc]), 'BODY_INVALID', /not UTF-8/],
      ['a\n'.repeat(51), 'BODY_TOO_LARGE', /larger than 100 bytes/],
    ] as const) {
      await expect(write(text, 7, 100)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message) as string,
      });
      await rm(join(folder, 'list'), { force: true });
    }
  });

  it('refuses a line without an end', async () => {
    await expect(write(Buffer.alloc(17 * 2 ** 20, 'a'), 2 ** 16, 1e9)).rejects.toMatchObject({
      code: 'BODY_TOO_LARGE',
      message: expect.stringMatching(/A line of the list is longer than/) as string,
    });
  });

  it('raises an error if it was cut off', async () => {
    await write('a.jpg\nb.jpg\n');
    await truncate(join(folder, 'list'), (await readFile(join(folder, 'list'))).length - 3);
    await expect(read()).rejects.toThrow(SyntaxError);
  });
});

describe('the results of a job', () => {
  const failure = (input: string, task: string): ScoreOutcome =>
    ({ input, task, error: { code: 'MEDIA_NOT_FOUND', message: 'It is not there.' } }) as unknown as ScoreOutcome;
  const item = (input: string): ScoreOutcome[] => [failure(input, 'quality'), failure(input, 'aesthetics')];

  it('count only complete items, at every cut of the file', async () => {
    const path = join(folder, 'results.jsonl');
    const first = await openResults(path, 2);
    const ends = [0];
    for (const name of ['a é', 'b\u2028"\n', 'c']) {
      await first.append(item(name));
      ends.push(first.bytes);
    }
    await first.close();
    const bytes = await readFile(path);
    for (let cut = 0; cut <= bytes.length; cut++) {
      await writeFile(path, bytes.subarray(0, cut));
      const again = await openResults(path, 2);
      const whole = ends.filter((end) => end <= cut).length - 1;
      expect([again.items, again.failed, again.bytes]).toEqual([whole, whole, ends[whole]]);
      await again.close();
      expect((await readFile(path)).length).toBe(ends[whole]);
    }
  });

  it('count items with warnings, also after a restart', async () => {
    const path = join(folder, 'results.jsonl');
    const scored = (warnings: string[]): ScoreOutcome =>
      ({ input: 'a', task: 'quality', score: 3, warnings }) as unknown as ScoreOutcome;
    const first = await openResults(path, 1);
    for (const warnings of [[], ['short'], ['short', 'damaged']]) await first.append([scored(warnings)]);
    expect([first.items, first.failed, first.warned]).toEqual([3, 0, 2]);
    await first.close();
    const again = await openResults(path, 1);
    expect(again.warned).toBe(2);
    await again.close();
  });

  it('are available in separate files for spreadsheets and as Parquet', async () => {
    const path = join(folder, 'results.jsonl');
    const results = await openResults(path, 2);
    await results.append(item('=1+1'));
    await results.close();
    const inputs = async (format: 'csv' | 'csv-safe'): Promise<string[]> =>
      parse<Record<string, string>>(await readFile(await resultsFile(path, results.bytes, format)), {
        columns: true,
      }).map(({ input }) => input as string);
    expect(await inputs('csv-safe')).toEqual(["'=1+1", "'=1+1"]);
    expect(await inputs('csv')).toEqual(['=1+1', '=1+1']);
    const parquet = await resultsFile(path, results.bytes, 'parquet');
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(parquet) });
    expect(rows.map(({ input, error_code }): unknown => [input, error_code])).toEqual([
      ['=1+1', 'MEDIA_NOT_FOUND'],
      ['=1+1', 'MEDIA_NOT_FOUND'],
    ]);
  });

  it('become one CSV file for any number of concurrent requests', async () => {
    const path = join(folder, 'results.jsonl');
    const results = await openResults(path, 2);
    await results.append(item('a, "b"\n\u2028'));
    await results.append(item('c'));
    await results.close();
    const made = await Promise.all(Array.from({ length: 6 }, () => resultsFile(path, results.bytes, 'csv')));
    expect(new Set(made)).toEqual(new Set([`${path}.csv`]));
    const rows = parse<Record<string, string>>(await readFile(`${path}.csv`), { columns: true });
    expect(rows.map(({ input }) => input)).toEqual(['a, "b"\n\u2028', 'a, "b"\n\u2028', 'c', 'c']);
    expect((await readdir(folder)).sort()).toEqual(['results.jsonl', 'results.jsonl.csv']);
  });

  it('raise OUTPUT_UNWRITABLE on a full disk, keep only complete items, and continue when there is room', async () => {
    const path = join(folder, 'results.jsonl');
    const results = await openResults(path, 2);
    await results.append(item('a'));
    const before = await readFile(path);
    const handle = await open(path, 'r+');
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const write = vi.spyOn(prototype, 'write').mockImplementation(async function (this: FileHandle) {
      await this.truncate(before.length + 3); // some bytes were written
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    });
    await expect(results.append(item('b'))).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: 'The results cannot be written (ENOSPC); the job continues when there is room.',
    });
    write.mockRestore();
    expect(results.items).toBe(1);
    expect(await readFile(path)).toEqual(before);
    await results.append(item('b'));
    await results.close();
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(5);
    await expect(openResults(join(folder, 'none', 'r'), 2)).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringContaining('(ENOENT)') as string,
    });
  });
});

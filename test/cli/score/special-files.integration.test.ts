import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { lstat, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/logger.js';
import { parseLine, type CommandContext } from '../../../src/cli/command.js';
import type { SCORE_FLAGS } from '../../../src/cli/score/flags.js';
import { runScore } from '../../../src/cli/score/run.js';
import { score } from '../../../src/cli/score/score.js';
import { fakeScorer, picture } from '../../recipes/score/fake-scorer.js';
import { hearingTerminal } from '../terminal/terminal-double.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-special-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function run(...line: string[]): Promise<number> {
  async function* expandSources(): AsyncGenerator<ReturnType<typeof picture>> {
    yield picture('a.jpg', 'image');
    yield picture('b.mp4', 'video');
  }
  const context = {
    ...parseLine(score, ['--model', 'tiny-untrained', 'x', ...line]),
    terminal: hearingTerminal(),
    log: silentLogger,
    signal: new AbortController().signal,
  } as unknown as CommandContext<typeof SCORE_FLAGS>;
  return runScore(context, {
    createScorer: (options) => fakeScorer(options, { engineCalls: [], closed: 0 }),
    expandSources,
  });
}

async function readAll(path: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of createReadStream(path)) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

describe('qalign score --out on special files', () => {
  it.each(['jsonl', 'csv', 'json', 'parquet'])('writes %s to a named pipe without replacing it', async (format) => {
    const pipe = join(folder, `pipe.${format}`);
    await promisify(execFile)('mkfifo', [pipe]);
    const [bytes, code] = await Promise.all([readAll(pipe), run('--out', pipe)]);
    expect(code).toBe(0);
    expect((await stat(pipe)).isFIFO()).toBe(true);
    if (format === 'parquet') {
      const rows = await parquetReadObjects({ file: new Uint8Array(bytes).buffer });
      expect(rows.map((row) => row['input'] as unknown)).toEqual(['a.jpg', 'b.mp4']);
    } else expect(bytes.toString('utf8')).toMatch(/a\.jpg[^]*b\.mp4/);
  });

  it('writes JSON lines to a device', async () => {
    expect(await run('--out', '/dev/null', '--format', 'jsonl')).toBe(0);
  });

  it('refuses --compact before writing a file beside it', async () => {
    const pipe = join(folder, 'pipe.jsonl');
    await promisify(execFile)('mkfifo', [pipe]);
    await expect(run('--out', pipe, '--compact')).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('qalign score --out on a link', () => {
  it.each(['json', 'parquet'])('writes %s to the target of the link, and keeps the link', async (format) => {
    const [target, name] = [join(folder, 'target'), join(folder, `link.${format}`)];
    await writeFile(target, '');
    await symlink(target, name);
    expect(await run('--out', name)).toBe(0);
    expect((await lstat(name)).isSymbolicLink()).toBe(true);
    expect((await readFile(target)).length).toBeGreaterThan(100);
  });
});

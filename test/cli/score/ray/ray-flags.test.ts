import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseLine } from '../../../../src/cli/command.js';
import { mayScore } from '../../../../src/cli/score/ahead.js';
import { workerArguments } from '../../../../src/cli/score/ray/worker-arguments.js';
import type { ScoreFlags } from '../../../../src/cli/score/request.js';
import { score } from '../../../../src/cli/score/score.js';
import { readShardFlags, requireNoShardFlags } from '../../../../src/cli/score/shard-request.js';
import { onSecondSignal, takeSecondSignal } from '../../../../src/cli/second-signal.js';

const flagsOf = (...line: string[]): ScoreFlags => parseLine(score, line).flags as unknown as ScoreFlags;
const SHARDS = ['--shards', 'a.tar', '--out', 'scores'];

describe('arguments of a shard worker on a node', () => {
  it('are the flags that change results, without those of this host', () => {
    const line = ['--task', 'quality', '--model', 'nano', '--keep', 'score>=3.5', '--strict', '--batch', '8'];
    const local = [
      '--ray',
      'http://127.0.0.1:8265',
      '--quiet',
      '--device',
      'cpu',
      '--progress',
      'json',
      '--shard',
      '1/2',
    ];
    expect(workerArguments(flagsOf(...SHARDS, ...line, ...local))).toEqual([
      ...['--task=quality', '--model=nano', '--keep=score>=3.5', '--strict', '--batch=8'],
    ]);
  });

  it('have absolute paths for files and folders that exist', () => {
    const folder = mkdtempSync(join(tmpdir(), 'qalign-ray-'));
    try {
      writeFileSync(join(folder, 'prompt.yaml'), '');
      const near = relative(process.cwd(), folder);
      const line = ['--model', near, '--prompt', join(near, 'prompt.yaml'), '--base', 'org/model'];
      expect(workerArguments(flagsOf(...SHARDS, ...line))).toEqual([
        `--model=${folder}`,
        '--base=org/model',
        `--prompt=${join(folder, 'prompt.yaml')}`,
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('can be read by a shard worker', () => {
    const flags = flagsOf(...SHARDS, '--model', 'nano', '--task', 'quality', '--keep', 'score>=3.5', '--limit', '9');
    const worker = flagsOf('--shard-worker', '--out', '/scores', ...workerArguments(flags));
    expect(readShardFlags(worker, [])).toMatchObject({ isWorker: true, out: '/scores', limit: 9, tasks: ['quality'] });
  });
});

describe('flags of --ray', () => {
  it.each([
    [['--ray-stop'], '--ray-stop needs --ray'],
    [['--ray-workers', '2'], '--ray-workers needs --ray'],
    [['--ray-token-file', 'token'], '--ray-token-file needs --ray'],
  ])('%s', (line, says) => {
    expect(() => readShardFlags(flagsOf(...SHARDS, ...line), [])).toThrow(says);
  });

  it('are for shards, and not for a shard worker', () => {
    expect(() => requireNoShardFlags(flagsOf('--ray', 'http://127.0.0.1:8265'))).toThrow('--ray needs --shards');
    expect(() => requireNoShardFlags(flagsOf('--ray-stop'))).toThrow('--ray-stop needs --shards');
    const worker = flagsOf('--shard-worker', '--out', 'o', '--ray', 'http://127.0.0.1:8265');
    expect(() => readShardFlags(worker, [])).toThrow('leave out --ray');
  });

  it('start no worker on this host', () => {
    expect(mayScore([...SHARDS])).toBe(true);
    expect(mayScore([...SHARDS, '--ray', 'http://127.0.0.1:8265'])).toBe(false);
    expect(mayScore([...SHARDS, '--ray=http://127.0.0.1:8265'])).toBe(false);
  });
});

describe('a second signal', () => {
  it('goes to the command that waits for it, for a time', async () => {
    expect(takeSecondSignal()).toBe(false);
    const first = onSecondSignal(5000);
    expect([takeSecondSignal(), takeSecondSignal()]).toEqual([true, false]);
    expect(await first).toBe(true);
    expect(await onSecondSignal(5)).toBe(false);
    expect(takeSecondSignal()).toBe(false);
  });
});

describe('flags of a run over shards', () => {
  it('say that it always continues, and that --out is a folder', () => {
    expect(() => readShardFlags(flagsOf(...SHARDS, '--resume'), [])).toThrow(/always continues/);
    for (const out of ['all.parquet', 's3://bucket/all.JSONL'])
      expect(() => readShardFlags(flagsOf('--shards', 'a.tar', '--out', out), [])).toThrow(/is a folder, not a file/);
    expect(readShardFlags(flagsOf('--shards', 'a.tar', '--out', 'all.parquet/'), []).out).toBe('all.parquet/');
  });
});

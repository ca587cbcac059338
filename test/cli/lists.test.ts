import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { FAMILIES } from '../../bridge/protocol/chat.js';
import { runCli } from '../../src/cli/run.js';
import { silentLogger } from '../../src/base/logger.js';
import { cli, hearingTerminal, type Heard } from './terminal/terminal-double.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-lists-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

async function onTerminal(columns: number, ...argv: string[]): Promise<Heard> {
  const terminal = { ...hearingTerminal(true), columns };
  terminal.heard.code = await runCli(argv, { terminal, log: silentLogger, signal: new AbortController().signal });
  return terminal.heard;
}

const longest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

describe('lists', () => {
  it.each([50, 80, 120])('of models and data sets fit %i columns', async (columns) => {
    for (const line of [
      ['models', 'list'],
      ['models', 'list', '--families'],
      ['dataset', 'list'],
      ['dataset', 'list', '--labels', folder],
    ]) {
      const { out } = await onTerminal(columns, ...line);
      expect(longest(out), line.join(' ')).toBeLessThanOrEqual(columns);
    }
  });

  it('begin with a header, and are not wrapped on a pipe', async () => {
    expect((await onTerminal(80, 'models', 'list')).out).toMatch(/^model {2,}rates {2,}about\n/);
    expect((await cli('models', 'list')).out).toMatch(
      /^one-align +quality, aesthetics +OneAlign; .* licence: MIT.*\n/m,
    );
  });

  it('of families name those of the bridge', async () => {
    const rows = JSON.parse((await cli('models', 'list', '--families', '--json')).out) as { family: string }[];
    expect(rows.map(({ family }) => family)).toEqual([...FAMILIES]);
    expect((await cli('models', 'list', '--families')).out).toMatch(/^qwen3_5 +Qwen3\.5, Q-ReAlign +resized/m);
  });

  it('of data sets name each label file once, even if several readers use it', async () => {
    const { out } = await cli('dataset', 'list');
    const ways = /^ava .*; needs (.*)$/m.exec(out)?.[1]?.split(' or ') ?? [];
    expect(ways).toContain('AVA.txt');
    expect(new Set(ways).size).toBe(ways.length);
  });

  it('report that there are no keys or runs, and create no files', async () => {
    const none = join(folder, 'none');
    const keys = await cli('keys', 'list', '--data-dir', none);
    expect(keys).toMatchObject({
      code: 0,
      out: '',
      said: [expect.stringMatching(/^There are no keys in .*keys create/)],
    });
    expect(await cli('keys', 'list', '--json', '--data-dir', none)).toMatchObject({ out: '[]\n', said: [] });
    vi.stubEnv('QALIGN_RUNS', none);
    expect(await onTerminal(80, 'runs', 'list')).toMatchObject({ out: '', said: [expect.stringMatching(/no runs/)] });
    expect((await cli('runs', 'list')).out).toBe('run\tstatus\tstep\tloss\tsrcc\tplcc\n');
    expect(existsSync(none)).toBe(false);
  });

  it('of keys are a table on a terminal and tabs on a pipe', async () => {
    const place = ['--data-dir', join(folder, 'service')];
    await cli('keys', 'create', 'web', '--scope', 'score', ...place);
    await cli('keys', 'create', 'nightly-batch', '--scope', 'score', '--scope', 'jobs', ...place);
    const { out } = await onTerminal(80, 'keys', 'list', ...place);
    expect(out).toMatch(
      /^key {12}scopes {6}created\nnightly-batch {2}score,jobs {2}\d{4}-.*\nweb {12}score {7}\d{4}-.*\n$/,
    );
    expect((await cli('keys', 'list', ...place)).out).toMatch(/^nightly-batch\tscore,jobs\t\d{4}-.*\nweb\tscore\t/);
  });
});

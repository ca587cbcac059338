import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultDataDir, environmentKey, environmentOverrides } from '../../src/cli/serve-environment.js';
import { parseConfig } from '../../src/config/load.js';
import { ServeConfig } from '../../src/config/serve.js';
import { hashKey } from '../../src/server/http/client-key.js';
import { withGivenKey, type KeyStore } from '../../src/server/http/key-store.js';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'qalign-environment-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('QALIGN_SERVE_*', () => {
  it('set keys of the configuration, nested keys with two underscores', () => {
    const env = {
      QALIGN_SERVE_PORT: '9000',
      QALIGN_SERVE_DATA_DIR: '/data/s',
      QALIGN_SERVE_RUNS_DIR: '/data/runs',
      QALIGN_SERVE_LIMITS__ITEMS: '8',
      QALIGN_SERVE_MODELS: '[one-align, nano]',
      QALIGN_SERVE_DEVICE: '',
      QALIGN_RUNS: 'elsewhere',
    };
    expect(parseConfig(ServeConfig, '', 'test', environmentOverrides(env))).toMatchObject({
      port: 9000,
      data_dir: '/data/s',
      runs_dir: '/data/runs',
      limits: { items: 8 },
      models: ['one-align', 'nano'],
      device: 'auto',
    });
    expect(defaultDataDir(env)).toBe('/data/s');
    expect(defaultDataDir({})).toBe('runs/service');
  });

  it.each([
    [
      'QALIGN_SERVE_LIMITS__ITEM',
      '8',
      /The variable QALIGN_SERVE_LIMITS__ITEM has one problem:\n {2}limits\.item: unknown key \(did you mean "items"/,
    ],
    ['QALIGN_SERVE_PORT', '99999', /The variable QALIGN_SERVE_PORT has one problem:\n {2}port: must be <= 65535/],
    ['QALIGN_SERVE_MODELS', '[nano', /The variable QALIGN_SERVE_MODELS cannot be read: .*quote it/],
    ['QALIGN_SERVE_', '1', /The variable QALIGN_SERVE_ cannot be read/],
    ['QALIGN_SERVE___PROTO__', '1', /The variable QALIGN_SERVE___PROTO__ cannot be read/],
    ['QALIGN_SERVE_PORT', 'tcp://10.0.0.1:8080', /enableServiceLinks: false/],
  ])('are refused by their own name: %s=%s', (name, value, problem) => {
    expect(() => environmentOverrides({ [name]: value })).toThrow(problem);
  });

  it('are refused for an unknown key', () => {
    expect(() => parseConfig(ServeConfig, '', 'test', environmentOverrides({ QALIGN_SERVE_PROT: '1' }))).toThrow(
      /port/,
    );
  });
});

describe('QALIGN_API_KEY', () => {
  const KEY = '0123456789abcdef';

  it('comes from the variable or from a file, and must be long', async () => {
    const file = join(folder, 'key');
    await writeFile(file, `${KEY}\n`);
    expect(await environmentKey({})).toBeUndefined();
    expect(await environmentKey({ QALIGN_API_KEY: KEY })).toBe(KEY);
    expect(await environmentKey({ QALIGN_API_KEY: '', QALIGN_API_KEY_FILE: file })).toBe(KEY);
    await expect(environmentKey({ QALIGN_API_KEY: 'short' })).rejects.toThrow(/at least 16/);
    await expect(environmentKey({ QALIGN_API_KEY_FILE: join(folder, 'none') })).rejects.toThrow(/cannot be read/);
    await expect(environmentKey({ QALIGN_API_KEY: `${KEY} ${KEY}` })).rejects.toThrow(/without spaces/);
  });

  it('is valid beside stored keys, for scores and jobs', () => {
    const none: KeyStore = { all: () => [], create: () => '', revoke: () => false };
    expect(withGivenKey(none, KEY).all()).toEqual([
      expect.objectContaining({ scopes: ['score', 'jobs'], hash: hashKey(KEY) }),
    ]);
    expect(withGivenKey(none, undefined)).toBe(none);
  });
});

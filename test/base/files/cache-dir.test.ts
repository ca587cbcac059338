import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { cacheDir } from '../../../src/base/files/cache-dir.js';

it.each<[string, NodeJS.ProcessEnv, string]>([
  ['QALIGN_CACHE before XDG_CACHE_HOME', { QALIGN_CACHE: '/big', XDG_CACHE_HOME: '/x' }, '/big'],
  ['a relative QALIGN_CACHE from the working folder', { QALIGN_CACHE: 'big' }, resolve('big')],
  ['an empty QALIGN_CACHE as none', { QALIGN_CACHE: '', XDG_CACHE_HOME: '/x' }, '/x/qalign'],
  ['a relative XDG_CACHE_HOME as none', { XDG_CACHE_HOME: 'x' }, join(homedir(), '.cache/qalign')],
  ['nothing', {}, join(homedir(), '.cache/qalign')],
])('takes %s', (_what, env, folder) => {
  expect(cacheDir(env)).toBe(folder);
});

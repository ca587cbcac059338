import { expect, it } from 'vitest';
import { toSource, type SourceRules } from '../../../src/server/score/request-source.js';

// reading this file fails for every user
it.runIf(process.platform === 'linux')('an unreadable file is named as in the request', async () => {
  const rules = { files: { root: '/proc/self', own: [] }, allowUrls: false, limits: {} } as unknown as SourceRules;
  await expect(toSource({ path: 'mem' }, 0, rules, new AbortController().signal, [])).rejects.toMatchObject({
    code: 'MEDIA_UNREADABLE',
    message: expect.stringMatching(/^"mem" cannot be read/) as string,
  });
});

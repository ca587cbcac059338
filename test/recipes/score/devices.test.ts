import { describe, expect, it } from 'vitest';
import { resolveDevices } from '../../../src/recipes/score/devices.js';

const python = { executable: '/nowhere', env: {}, root: '/nowhere' };

describe('resolveDevices', () => {
  it.each([
    ['cpu', ['cpu']],
    ['cpu,cpu', ['cpu', 'cpu']],
    ['cuda', ['cuda:0']],
    ['cuda:3', ['cuda:3']],
    ['0, 1', ['cuda:0', 'cuda:1']],
    ['cuda:0,cuda:2', ['cuda:0', 'cuda:2']],
    ['remote', ['remote']],
    ['remote:2,0', ['remote', 'remote', 'cuda:0']],
  ])('%s → %j', async (text, devices) => {
    expect(await resolveDevices(text, python)).toEqual(devices);
  });

  it.each([
    [0, ['cpu']],
    [1, ['cuda:0']],
    [3, ['cuda:0', 'cuda:1', 'cuda:2']],
  ])('auto uses every GPU: %i → %j', async (count, devices) => {
    expect(await resolveDevices('auto', python, undefined, async () => count)).toEqual(devices);
  });

  it.each(['', 'gpu', 'cuda:', 'cuda:x', '0,0', '0,cuda:0', '-1', '0,', 'remote:0', 'cuda:0000'])(
    'refuses "%s"',
    async (text) => {
      await expect(resolveDevices(text, python)).rejects.toMatchObject({ code: 'USAGE' });
    },
  );
});

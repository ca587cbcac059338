import { expect, it } from 'vitest';
import { loadModelParams } from '../../src/engine/load-model.js';

it('names the deterministic mode and the expected requests only where they are given', () => {
  const plain = { model: 'm', device: 'cpu', precision: 'auto', offline: false };
  expect(loadModelParams({ model: 'm', device: 'cpu' })).toEqual(plain);
  expect(loadModelParams({ model: 'm', device: 'cpu', deterministic: false })).toEqual(plain);
  const warmUp = { prompts: [['p']], levels: ['good'] };
  expect(loadModelParams({ model: 'm', device: 'cpu', deterministic: true, warmUp })).toEqual({
    ...plain,
    deterministic: true,
    warm_up: warmUp,
  });
});

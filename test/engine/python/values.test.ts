import { expect, it } from 'vitest';
import { fromPlain, toPlain } from '../../../src/engine/python/values.js';

it('converts NaN, infinities and bytes to JSON and back', () => {
  const value = { odd: [Number.NaN, Infinity, -Infinity, -0.5], bytes: Uint8Array.of(0, 255), text: 'é', none: null };
  const wire = JSON.stringify(toPlain(value));
  expect(wire).toContain('{"$float":"-inf"}');
  expect(fromPlain(JSON.parse(wire))).toEqual(value);
});

it('converts other typed arrays to lists, and only the range of a view', () => {
  expect(toPlain({ x: Float64Array.of(1, Number.NaN), y: Int16Array.of(-3) })).toEqual({
    x: [1, { $float: 'nan' }],
    y: [-3],
  });
  const part = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
  expect(fromPlain(toPlain(part))).toEqual(Uint8Array.of(2, 3));
});

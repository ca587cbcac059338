import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LatencyModel } from '../../src/engine/latency.js';

it('finds the line through the batches', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 100, noNaN: true }),
      fc.double({ min: 0.01, max: 50, noNaN: true }),
      (base, perFrame) => {
        const model = new LatencyModel();
        expect(model.predict(1)).toBeUndefined();
        for (let i = 0; i < 40; i++) model.observe(1 + (i % 16), base + perFrame * (1 + (i % 16)));
        expect(model.predict(8)).toBeCloseTo(base + perFrame * 8, 3);
      },
    ),
  );
});

it('adapts to a machine that became slower', () => {
  const model = new LatencyModel();
  for (let i = 0; i < 200; i++) model.observe(1 + (i % 4), 10 * (1 + (i % 4)));
  for (let i = 0; i < 100; i++) model.observe(1 + (i % 4), 30 * (1 + (i % 4)));
  expect(model.predict(4)).toBeGreaterThan(115);
});

it('is never negative, and attributes equal batches to their frames', () => {
  const model = new LatencyModel();
  for (let i = 0; i < 10; i++) model.observe(8, 80);
  expect(model.line?.baseMs).toBeCloseTo(0, 9);
  expect(model.line?.perFrameMs).toBeCloseTo(10, 9);
  for (let i = 0; i < 50; i++) model.observe(1 + (i % 8), 100 - (i % 8));
  expect(model.line!.perFrameMs).toBeGreaterThanOrEqual(0);
  expect(model.line!.baseMs).toBeGreaterThanOrEqual(0);
});

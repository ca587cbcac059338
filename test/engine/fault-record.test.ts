import { expect, it } from 'vitest';
import { FaultRecord } from '../../src/engine/fault-record.js';

const MINUTE = 60_000;

it('sets a device aside at its third fault in ten minutes, each time longer, up to ten minutes', () => {
  const faults = new FaultRecord();
  expect([0, 1, 2].map((minute) => faults.note(minute * MINUTE))).toEqual([0, 0, 30_000]);
  let now = 2 * MINUTE;
  const pauses: number[] = [];
  for (let i = 0; i < 6; i++) pauses.push(faults.note((now += MINUTE + (pauses.at(-1) ?? 30_000))));
  expect(pauses).toEqual([60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
});

it('drops old faults, and pauses after which no fault occurred', () => {
  const faults = new FaultRecord();
  expect([0, 6, 12, 18].map((minute) => faults.note(minute * MINUTE))).toEqual([0, 0, 0, 0]);
  expect([18.1, 18.2].map((minute) => faults.note(minute * MINUTE))).toEqual([30_000, 60_000]);
  expect([40, 41, 42].map((minute) => faults.note(minute * MINUTE))).toEqual([0, 0, 30_000]);
});

import { expect, it } from 'vitest';
import { asJson, runAsJson } from '../../../src/cli/terminal/json.js';

it('prints a result indented by two and ended by a line end', () => {
  expect(asJson({ score: 3, tasks: [] })).toBe('{\n  "score": 3,\n  "tasks": []\n}\n');
});

it('writes missing values of a run as null, and omits what was not requested', () => {
  const absent = { startedAt: undefined, totalSteps: undefined, loss: undefined, srcc: undefined, plcc: undefined };
  expect(runAsJson({ id: 'a', name: 'a', status: 'prepared', step: 0, ...absent })).toEqual({
    id: 'a',
    name: 'a',
    status: 'prepared',
    started_at: null,
    step: 0,
    total_steps: null,
    loss: null,
    srcc: null,
    plcc: null,
  });
});

import { expect, it } from 'vitest';
import type { ScoreFailure } from '../../src/api/result.js';
import { summaryOf } from '../../src/cli/action/summary.js';

it('keeps the summary under the GitHub limit of 1 MiB for names and messages of any length', () => {
  const outcomes = Array.from({ length: 900 }, (_, index): ScoreFailure => {
    const input = `${index}/${'<é>'.repeat(1300)}.jpg`;
    return {
      schema_version: 2,
      input,
      task: 'quality',
      error: { code: 'MEDIA_CORRUPT', message: `${input} is damaged.` },
    };
  });
  const text = summaryOf({ outcomes, failBelow: undefined, model: 'nano' });
  expect(Buffer.byteLength(text)).toBeLessThan(500_000);
  const rows = text.split('<tr><td>').length - 1;
  expect(text).toContain(`${900 - rows} more in the results file</td></tr>\n</table>`);
});

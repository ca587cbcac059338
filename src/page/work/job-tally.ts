import type { ScoreOutcome } from '../../api/result.js';
import { getText } from '../session.js';

export interface Tally {
  readonly scores: readonly number[];
  readonly failures: readonly { readonly code: string; readonly count: number; readonly example: string }[];
  /** False: only the first results were read, because there are more than the page reads. */
  readonly isWhole: boolean;
}

/** About 15,000 results: enough for the shape of a histogram. */
const MOST_BYTES = 24 * 2 ** 20;
const CHUNK = 4 * 2 ** 20;

/** Reads the results of a job as they grow, each byte once. */
export function createTally(id: string): { read(size: number): Promise<Tally> } {
  const scores: number[] = [];
  const failures = new Map<string, { count: number; example: string }>();
  let place = 0;
  const count = (line: string): void => {
    const outcome = JSON.parse(line) as ScoreOutcome;
    if (!('error' in outcome)) return void scores.push(outcome.score);
    const { code, message } = outcome.error;
    const known = failures.get(code) ?? { count: 0, example: message };
    failures.set(code, { ...known, count: known.count + 1 });
  };
  let reading = Promise.resolve();
  const readTo = async (size: number): Promise<void> => {
    while (place < Math.min(size, MOST_BYTES)) {
      const to = Math.min(size, MOST_BYTES, place + CHUNK) - 1;
      const answer = await getText(`/v1/jobs/${id}/results`, { Range: `bytes=${place}-${to}` });
      const part = new Uint8Array(await answer.arrayBuffer());
      const end = part.lastIndexOf(10) + 1;
      if (end === 0) return;
      for (const line of new TextDecoder().decode(part.subarray(0, end)).split('\n')) if (line !== '') count(line);
      place += end;
    }
  };
  return {
    async read(size) {
      reading = reading.then(() => readTo(size));
      await reading;
      const found = [...failures].map(([code, rest]) => ({ code, ...rest })).sort((a, b) => b.count - a.count);
      return { scores: [...scores], failures: found, isWhole: place >= size };
    },
  };
}

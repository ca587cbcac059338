import { bradleyTerry } from '../../scoring/bradley-terry.js';
import { safeCell } from '../score/export.js';

/** One comparison by a person. */
export interface Choice {
  readonly first: string;
  readonly second: string;
  readonly choice: 'first' | 'second' | 'equal';
  /** Seconds since 1970. */
  readonly time: number;
}

/** A row for each compared picture: its rating from 1 to 5, and its number of comparisons. */
export function ratingsAsCsv(choices: readonly Choice[]): string {
  const lines = ratingsOf(choices).map(
    ({ name, mos, comparisons }) => `${safeCell(name)},${mos.toFixed(4)},${comparisons}`,
  );
  return `${['image,mos,comparisons', ...lines].join('\n')}\n`;
}

export function ratingsOf(choices: readonly Choice[]): { name: string; mos: number; comparisons: number }[] {
  const names = [...new Set(choices.flatMap(({ first, second }) => [first, second]))];
  const shares = bradleyTerry(
    names.length,
    choices.map(({ first, second, choice }) => ({
      first: names.indexOf(first),
      second: names.indexOf(second),
      won: choice === 'first' ? 1 : choice === 'second' ? 0 : 0.5,
    })),
  );
  return names.map((name, i) => ({
    name,
    mos: 1 + 4 * (shares[i] ?? 0.5),
    comparisons: choices.filter(({ first, second }) => first === name || second === name).length,
  }));
}

/** The indices of a pair of the least compared pictures, in random order. */
export function nextPair(
  names: readonly string[],
  choices: readonly Choice[],
  random: () => number = Math.random,
): readonly [number, number] {
  const seen = (i: number, j?: number): number =>
    choices.filter(({ first, second }) => {
      const pair = [first, second];
      return pair.includes(names[i]!) && (j === undefined || pair.includes(names[j]!));
    }).length;
  const least = (candidates: readonly number[], cost: (i: number) => number): number => {
    const costs = candidates.map((i) => cost(i) + random() / 2);
    return candidates[costs.indexOf(Math.min(...costs))]!;
  };
  const all = names.map((_, i) => i);
  const first = least(all, (i) => seen(i));
  const second = least(
    all.filter((i) => i !== first),
    (i) => 1000 * seen(first, i) + seen(i),
  );
  return random() < 0.5 ? [first, second] : [second, first];
}

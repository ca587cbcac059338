/** Counts requests and answers, without I/O. */

export interface Counts {
  asked: number;
  right: number;
  /** Reported as failed, for an item or the whole request. */
  failed: number;
  /** The connection broke, so that the client got no answer. */
  cut: number;
  lost: number;
  twice: number;
  wrong: number;
}

export interface Answer {
  readonly input: string;
  readonly score?: number;
  readonly error?: unknown;
}

export const noCounts = (): Counts => ({ asked: 0, right: 0, failed: 0, cut: 0, lost: 0, twice: 0, wrong: 0 });

/** Adds the answers to items whose ids end with the name of their picture: `12-3-blurred.jpg`. */
export function settle(
  counts: Counts,
  ids: readonly string[],
  answers: readonly Answer[],
  known: ReadonlyMap<string, number>,
): void {
  const byId = new Map<string, Answer[]>();
  for (const answer of answers) byId.set(answer.input, [...(byId.get(answer.input) ?? []), answer]);
  for (const id of ids) {
    const [first, ...more] = byId.get(id) ?? [];
    counts.asked++;
    if (first === undefined) counts.lost++;
    else if (more.length > 0) counts.twice++;
    else if (first.error !== undefined) counts.failed++;
    else if (Math.abs((first.score ?? Number.NaN) - (known.get(pictureOf(id)) ?? Number.NaN)) <= 1e-5) counts.right++;
    else counts.wrong++;
  }
  counts.wrong += [...byId.keys()].filter((id) => !ids.includes(id)).length; // an item that was not requested
}

export const pictureOf = (id: string): string => id.slice(id.lastIndexOf('-') + 1);

/** mulberry32: the same seed gives the same schedule. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const pick = <T>(random: () => number, of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;

import { isFailure, type ScoreOutcome, type ScoreResult } from '../../api/result.js';

/** Which scores a run keeps: the best or the worst. */
export interface Best {
  /** Number of scores for each task and model. */
  readonly count: number;
  readonly order: 'top' | 'bottom';
}

/** The best or worst scores so far. */
export interface Ranking {
  /** Ignores failures. */
  add(outcomes: readonly ScoreOutcome[]): void;
  /**
   * Groups by model and task, in the order of their first scores. Best or worst first; of equal scores, the earlier.
   */
  ranked(): ScoreResult[];
}

/** Needs memory for `count` results of each model and task. */
export function createRanking({ count, order }: Best): Ranking {
  const groups = new Map<string, Entry[]>();
  const sign = order === 'top' ? 1 : -1;
  let place = 0;
  return {
    add(outcomes) {
      for (const outcome of outcomes) {
        if (isFailure(outcome)) continue;
        const group = `${outcome.model.id}\n${outcome.task}`;
        const heap = groups.get(group) ?? [];
        groups.set(group, heap);
        const entry = { outcome, rank: sign * outcome.score, place: place++ };
        if (heap.length < count) rise(heap, entry);
        else if (isBelow(heap[0]!, entry)) sink(heap, entry);
      }
    },
    ranked: () =>
      [...groups.values()].flatMap((heap) =>
        heap.sort((a, b) => (isBelow(a, b) ? 1 : -1)).map(({ outcome }) => outcome),
      ),
  };
}

interface Entry {
  readonly outcome: ScoreResult;
  readonly rank: number;
  readonly place: number;
}

const isBelow = (a: Entry, b: Entry): boolean => a.rank < b.rank || (a.rank === b.rank && a.place > b.place);

/** Adds an entry to a binary heap whose first entry is below all others. */
function rise(heap: Entry[], entry: Entry): void {
  let at = heap.length;
  for (; at > 0; at = (at - 1) >> 1) {
    const parent = heap[(at - 1) >> 1]!;
    if (!isBelow(entry, parent)) break;
    heap[at] = parent;
  }
  heap[at] = entry;
}

/** Replaces the first entry of the heap. */
function sink(heap: Entry[], entry: Entry): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBelow(heap[child + 1]!, heap[child]!)) child += 1;
    if (!isBelow(heap[child]!, entry)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = entry;
}

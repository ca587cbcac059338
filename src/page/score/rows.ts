import { computed, signal, type Signal } from '@preact/signals';
import type { ScoreOutcome, ScoreResult } from '../../api/result.js';
import type { Task } from '../../prompts/subject.js';
import type { ItemSource } from '../../api/score.js';
import { doubtsOf } from '../../scoring/doubts.js';
import type { Sort, SortKey } from '../parts/result-list.js';

export type RowState = 'waiting' | 'sent' | 'done';

/** One input and task. `outcome` is present when the state is done. */
export interface Row {
  /** Number in this tab, from 1: part of the address of its screen. */
  readonly id: number;
  readonly name: string;
  readonly task: Task;
  /** Bytes of a dropped file; undefined for an address or path. */
  readonly file: File | undefined;
  readonly source: ItemSource | undefined;
  readonly state: RowState;
  readonly outcome: ScoreOutcome | undefined;
}

export interface Filter {
  readonly text: string;
  readonly show: 'all' | 'scored' | 'doubtful' | 'failed' | 'waiting';
}

/** Every row in the order of arrival. Written in groups: a thousand answers are not a thousand renderings. */
export const rows: Signal<readonly Row[]> = signal([]);
export const sort = signal<Sort>({ key: 'order', down: false });
export const filter = signal<Filter>({ text: '', show: 'all' });

export { doubtsOf as doubts };

export const resultOf = ({ outcome }: Pick<Row, 'outcome'>): ScoreResult | undefined =>
  outcome === undefined || 'error' in outcome ? undefined : outcome;

export const failureOf = ({ outcome }: Pick<Row, 'outcome'>): { code: string; message: string } | undefined =>
  outcome !== undefined && 'error' in outcome ? outcome.error : undefined;

const MATCHES: Readonly<Record<Filter['show'], (row: Row) => boolean>> = {
  all: () => true,
  scored: (row) => resultOf(row) !== undefined,
  doubtful: isDoubtful,
  failed: (row) => failureOf(row) !== undefined,
  waiting: ({ state }) => state !== 'done',
};

function isDoubtful(row: Row): boolean {
  const result = resultOf(row);
  return result !== undefined && doubtsOf(result).length > 0;
}

const VALUES: Readonly<Record<SortKey, (row: Row) => number | string | undefined>> = {
  order: ({ id }) => id,
  name: ({ name }) => name.toLowerCase(),
  score: (row) => resultOf(row)?.score,
  entropy: (row) => resultOf(row)?.entropy,
  level_mass: (row) => resultOf(row)?.level_mass,
};

/** Rows of a filter in the order of a key. Rows without a value are last in both directions. */
export function arranged(all: readonly Row[], { text, show }: Filter, { key, down }: Sort): readonly Row[] {
  const wanted = text.trim().toLowerCase();
  const kept = all.filter((row) => MATCHES[show](row) && (wanted === '' || row.name.toLowerCase().includes(wanted)));
  if (key === 'order' && !down) return kept;
  const [value, sign] = [VALUES[key], down ? -1 : 1];
  return kept
    .map((row) => ({ row, value: value(row) }))
    .sort((a, b) => {
      if (a.value === undefined || b.value === undefined)
        return Number(a.value === undefined) - Number(b.value === undefined);
      return a.value < b.value ? -sign : a.value > b.value ? sign : a.row.id - b.row.id;
    })
    .map(({ row }) => row);
}

export const shown = computed(() => arranged(rows.value, filter.value, sort.value));

export const counts = computed(() => {
  let [scored, failed, doubtful] = [0, 0, 0];
  for (const row of rows.value) {
    if (resultOf(row) !== undefined) scored += 1;
    if (isDoubtful(row)) doubtful += 1;
    if (failureOf(row) !== undefined) failed += 1;
  }
  return { total: rows.value.length, scored, failed, doubtful, waiting: rows.value.length - scored - failed };
});

const changes = new Map<number, Partial<Row>>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Changes a row soon: changes within 60 ms are one update of the page. */
export function change(id: number, values: Partial<Row>): void {
  changes.set(id, { ...changes.get(id), ...values });
  timer ??= setTimeout(applyChanges, 60);
}

export function applyChanges(): void {
  clearTimeout(timer);
  timer = undefined;
  if (changes.size === 0) return;
  rows.value = rows.value.map((row) => {
    const change = changes.get(row.id);
    return change === undefined ? row : { ...row, ...change };
  });
  changes.clear();
}

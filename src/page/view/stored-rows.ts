import { signal } from '@preact/signals';
import type { ViewRow, ViewRows, ViewRowsQuery } from '../../api/view.js';
import { explain, getText } from '../session.js';

/** Rows in one request, and the number of such parts that stay in memory. */
const PART = 100;
const MOST_PARTS = 30;
/** Time after the last key press until a filter is applied. */
const TYPING_MS = 250;

export type Arrangement = Required<Pick<ViewRowsQuery, 'sort' | 'down' | 'show' | 'text'>>;

export const arrangement = signal<Arrangement>({ sort: 'order', down: false, show: 'all', text: '' });
/** Number of rows under the filter; undefined until the first answer. */
export const total = signal<number | undefined>(undefined);
export const problem = signal<string | undefined>(undefined);
/** Increases when rows arrive, so that the list is drawn again. */
const arrived = signal(0);

let parts = new Map<number, readonly ViewRow[] | 'loading'>();
let positions = new Map<number, number>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** The row at a place of the arrangement; undefined while it is loaded. */
export function rowAt(place: number): ViewRow | undefined {
  void arrived.value;
  const part = Math.floor(place / PART);
  const known = parts.get(part);
  if (known === undefined) void load(part);
  return known === undefined || known === 'loading' ? undefined : known[place % PART];
}

/** The place of a row that was shown, by its number in the file. */
export const placeOf = (n: number): number | undefined => positions.get(n);

export function arrange(change: Partial<Arrangement>): void {
  arrangement.value = { ...arrangement.value, ...change };
  clearTimeout(timer);
  timer = setTimeout(restart, change.text === undefined ? 0 : TYPING_MS);
}

export function restart(): void {
  parts = new Map();
  positions = new Map();
  void load(0);
}

async function load(part: number): Promise<void> {
  const now = parts;
  now.set(part, 'loading');
  for (const old of now.keys()) if (now.size > MOST_PARTS) now.delete(old);
  try {
    const { sort, down, show, text } = arrangement.value;
    const query = new URLSearchParams({
      offset: String(part * PART),
      limit: String(PART),
      sort,
      down: String(down),
      show,
    });
    if (text.trim() !== '') query.set('text', text.trim());
    const answer = (await (await getText(`/v1/view/rows?${query.toString()}`)).json()) as ViewRows;
    if (now !== parts) return; // The arrangement has changed.
    now.set(part, answer.rows);
    answer.rows.forEach(({ n }, i) => positions.set(n, part * PART + i));
    [total.value, problem.value] = [answer.total, undefined];
    arrived.value += 1;
  } catch (error) {
    now.delete(part);
    problem.value = explain(error);
  }
}

import { effect, signal } from '@preact/signals';
import type { Task } from '../../prompts/subject.js';
import type { Scale } from '../../scoring/levels.js';
import { apiKey, client, explain } from '../session.js';
import type { Entry } from './group.js';
import { createQueue } from './queue.js';
import { applyChanges, change, failureOf, rows, type Row } from './rows.js';

export const tasks = signal<readonly Task[]>(['quality']);
export const model = signal<string>('');
export const scale = signal<Scale>('mos5');

let last = 0;
const entries = new Map<number, Entry>();

const queue = createQueue({
  client: () => client.value,
  onSent: ({ rowIds }) => rowIds.forEach((id) => change(id, { state: 'sent' })),
  onOutcome: ({ rowIds }, outcomes) => rowIds.forEach((id, i) => change(id, { state: 'done', outcome: outcomes[i] })),
  onFailure: ({ rowIds }, code, message) => rowIds.forEach((id) => fail(id, code, message)),
  onRefused: (error) => void explain(error),
});

// A new key lets the queue continue.
let keyBefore = apiKey.peek();
effect(() => {
  if (apiKey.value === keyBefore) return;
  keyBefore = apiKey.value;
  queue.resume();
});

function fail(id: number, code: string, message: string): void {
  const row = rows.peek().find((one) => one.id === id);
  if (row === undefined) return;
  const outcome = { schema_version: 2 as const, input: row.name, task: row.task, error: { code, message } };
  change(id, { state: 'done', outcome });
}

export interface Input {
  readonly file?: File | undefined;
  readonly source?: { readonly url?: string; readonly path?: string } | undefined;
}

/** Adds rows and sends them with the settings of now. */
export function addInputs(inputs: readonly Input[]): void {
  const settings = {
    tasks: [...tasks.peek()],
    scale: scale.peek(),
    ...(model.peek() === '' ? {} : { model: model.peek() }),
  };
  const added: Row[] = [];
  const made = inputs.map(({ file, source }): Entry => {
    const name = file === undefined ? (source?.url ?? source?.path ?? '') : nameOf(file);
    const own = settings.tasks.map((task): Row => ({
      id: ++last,
      name,
      task,
      file,
      source,
      state: 'waiting',
      outcome: undefined,
    }));
    added.push(...own);
    const entry = { file, source, settings, rowIds: own.map(({ id }) => id) };
    for (const { id } of own) entries.set(id, entry);
    return entry;
  });
  applyChanges();
  rows.value = [...rows.value, ...added];
  queue.add(made);
}

/** The path in a dropped folder, if there is one. */
const nameOf = (file: File): string => file.webkitRelativePath || file.name;

/** Sends failed rows again, each input once. */
export function retry(ids: readonly number[]): void {
  const again = new Set(ids.flatMap((id) => entries.get(id) ?? []));
  for (const { rowIds } of again) rowIds.forEach((id) => change(id, { state: 'waiting', outcome: undefined }));
  applyChanges();
  queue.add([...again]);
}

export const retryFailed = (): void =>
  retry(rows.value.filter((row) => failureOf(row) !== undefined).map(({ id }) => id));

export function clearRows(): void {
  queue.clear();
  applyChanges();
  entries.clear();
  rows.value = [];
}

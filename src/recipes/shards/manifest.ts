import { QalignError } from '../../base/errors.js';
import { wholeLines } from '../../base/files/lines.js';
import type { JobShard } from '../../api/jobs.js';
import type { DoneEvent, FailedEvent } from './events.js';
import { below } from './names.js';
import type { ShardPart } from './expand.js';
import type { Stores } from './store/store.js';

/** A line of `qalign-manifest.jsonl`: what became of a shard. */
export type ManifestEntry = JobShard;

/** The list of finished and failed shards beside the results. */
export interface Manifest {
  add(entry: ManifestEntry): Promise<void>;
  /** Writes what has changed. */
  save(): Promise<void>;
}

/** Time between two writes during a run: the results themselves decide what is done, so the list can be late. */
const SAVE_MS = 30_000;

/** Each part of a divided run has its own list, so that no run replaces the list of another. */
export const manifestName = (part: ShardPart | undefined): string =>
  part === undefined ? 'qalign-manifest.jsonl' : `qalign-manifest-${part.index}-of-${part.of}.jsonl`;

/**
 * Opens the list. Entries of shards that this run does not have are kept.
 *
 * @throws QalignError RESUME_MISMATCH for a file with a line that is no entry; it is not replaced
 */
export async function openManifest(stores: Stores, out: string, part: ShardPart | undefined): Promise<Manifest> {
  const name = below(out, manifestName(part));
  const store = await stores.of(name);
  const entries = new Map<string, string>();
  if ((await store.stat(name)) !== undefined)
    for await (const { number, text } of wholeLines(store.stream(name), { tail: true, tooLong: () => foreign(name) }))
      entries.set(requireEntry(text, name, number).shard, text);
  let [changed, saved] = [false, performance.now()];
  const save = async (): Promise<void> => {
    saved = performance.now();
    if (!changed) return;
    changed = false;
    const lines = [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => `${line}\n`);
    await store.replace(name, lines.join(''));
  };
  return {
    async add(entry) {
      const line = JSON.stringify(entry);
      if (entries.get(entry.shard) !== line) changed = true;
      entries.set(entry.shard, line);
      if (performance.now() - saved > SAVE_MS) await save();
    },
    save,
  };
}

/** What an event says of a shard. */
export function entryOf(event: DoneEvent | FailedEvent): ManifestEntry {
  const { shard } = event;
  if (event.event === 'failed')
    return { shard, state: 'failed', error: { code: event.error.code, message: event.error.message } };
  return { shard, state: 'done', output: event.output, items: event.items, failed: event.failed };
}

/** @throws QalignError RESUME_MISMATCH */
function requireEntry(text: string, name: string, line: number): ManifestEntry {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // reported below
  }
  if (isEntry(value)) return value;
  throw foreign(name, `: line ${line} is no entry`);
}

const foreign = (name: string, place = ''): QalignError =>
  new QalignError(
    'RESUME_MISMATCH',
    `${name} was not written by qalign for shards${place}; it is not replaced. Move it, or use another --out.`,
  );

/** What each field of an entry must be. */
const FIELDS: Readonly<Record<keyof ManifestEntry, (value: unknown) => boolean>> = {
  shard: (value) => typeof value === 'string',
  state: (value) => value === 'done' || value === 'failed',
  output: (value) => typeof value === 'string',
  items: Number.isSafeInteger,
  failed: Number.isSafeInteger,
  error: (value) => typeof value === 'object' && value !== null,
};

function isEntry(value: unknown): value is ManifestEntry {
  if (typeof value !== 'object' || value === null || !('shard' in value && 'state' in value)) return false;
  return Object.entries(value).every(
    ([name, field]) => Object.hasOwn(FIELDS, name) && FIELDS[name as keyof ManifestEntry](field),
  );
}

import { wholeLines } from '../../base/files/lines.js';
import type { JobShard } from '../../api/jobs.js';
import type { DoneEvent, FailedEvent } from './events.js';
import { below } from './names.js';
import type { ShardPart } from './expand.js';
import type { Stores } from './store/store.js';

/** A line of `manifest.jsonl`: what became of a shard. */
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
  part === undefined ? 'manifest.jsonl' : `manifest-${part.index}-of-${part.of}.jsonl`;

/** Opens the list. Entries of shards that this run does not have are kept. */
export async function openManifest(stores: Stores, out: string, part: ShardPart | undefined): Promise<Manifest> {
  const name = below(out, manifestName(part));
  const store = await stores.of(name);
  const entries = new Map<string, string>();
  if ((await store.stat(name)) !== undefined)
    for await (const { text } of wholeLines(store.stream(name))) {
      const shard = shardOf(text);
      if (shard !== undefined) entries.set(shard, text);
    }
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

function shardOf(text: string): string | undefined {
  try {
    const { shard } = JSON.parse(text) as { readonly shard?: unknown };
    return typeof shard === 'string' ? shard : undefined;
  } catch {
    return undefined;
  }
}

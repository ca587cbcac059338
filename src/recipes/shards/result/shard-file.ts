import { isFailure, type ScoreOutcome } from '../../../api/result.js';
import { QalignError } from '../../../base/errors.js';
import { reasonOf } from '../../../base/files/reason.js';
import { guardWrite } from '../../../base/files/unwritable.js';
import { openParquetFile } from '../../score/result-parquet.js';
import { compactLayout, versionTag } from '../../score/layout/compact.js';
import { cellsOf } from '../../score/result-csv.js';
import type { ResultLayout } from '../../score/layout/layout.js';
import type { ShardFormat } from '../names.js';
import type { Store, StoreDraft } from '../store/store.js';
import { META_KEY, metaNameOf, type ShardMeta } from './shard-meta.js';

/** The result of a shard while it is written. Nothing is visible before `commit`. */
export interface ShardFile {
  /** Adds the rows of one item. */
  write(key: string | undefined, outcomes: readonly ScoreOutcome[]): Promise<void>;
  /**
   * Publishes the result and the lists beside it. The result is published last, so that it is there only if all of its
   * files are. `exists`: another result has this name.
   */
  commit(meta: Omit<ShardMeta, 'bytes'>, beside: Readonly<Record<string, string>>): Promise<'written' | 'exists'>;
  discard(): Promise<void>;
}

type Keyed = ScoreOutcome & { readonly key?: string };

/** An index of a device is not the same on every host. */
function withKey(key: string | undefined, outcome: ScoreOutcome): Keyed {
  const named = { ...(key === undefined ? {} : { key }), ...outcome };
  if (!('score' in outcome) || !outcome.model.device.includes(':')) return named;
  return { ...named, model: { ...outcome.model, device: outcome.model.device.replace(/:\d+$/, '') } };
}

/**
 * The columns of a compact file behind a column `key`; what all rows share is in the metadata. Cells keep their digits,
 * because the columns are fp32: finding the shortest digits, which text needs, would cost more than all other encoding.
 */
function shardLayout(): ResultLayout {
  const layout = compactLayout({});
  return {
    ...layout,
    columns: [{ name: 'key', type: 'text' }, ...layout.columns],
    cellsOf(outcome) {
      const { key } = outcome as Keyed;
      const version = isFailure(outcome) ? {} : { v: versionTag(outcome.score_version) };
      return { ...cellsOf(outcome), ...version, ...(key === undefined ? {} : { key }) };
    },
  };
}

/** @param name of the result @throws QalignError OUTPUT_UNWRITABLE, also from each method */
export async function openShardFile(store: Store, name: string, format: ShardFormat): Promise<ShardFile> {
  const draft = await store.draft(name);
  return format === 'parquet' ? parquetFile(store, draft, name) : lineFile(store, draft, name);
}

async function parquetFile(store: Store, draft: StoreDraft, name: string): Promise<ShardFile> {
  let meta: ShardMeta | undefined;
  let committed: 'written' | 'exists' = 'written';
  const parquet = await openParquetFile(name, {
    layout: shardLayout(),
    draft: {
      ...draft,
      commit: async () => {
        committed = await draft.commit();
      },
    },
    metadata: () => (meta === undefined ? {} : { [META_KEY]: meta }),
  });
  return {
    write: (key, outcomes) => parquet.write(outcomes.map((outcome) => withKey(key, outcome))),
    async commit(given, beside) {
      meta = { ...given, bytes: null };
      await writeBeside(store, beside);
      await parquet.close();
      return committed;
    },
    discard: () => parquet.discard(),
  };
}

/** Text in characters that is collected before it is written. */
const BUFFER = 1 << 18;

async function lineFile(store: Store, draft: StoreDraft, name: string): Promise<ShardFile> {
  let [held, length, bytes] = [[] as string[], 0, 0];
  const flush = async (): Promise<void> => {
    const text = Buffer.from(held.join(''));
    [held, length] = [[], 0];
    bytes += text.length;
    await guardWrite(
      () => draft.file.writeFile(text),
      (error) => `${name} cannot be written (${reasonOf(error)}); free disk space, or use another --out.`,
    );
  };
  return {
    async write(key, outcomes) {
      for (const outcome of outcomes) {
        const line = `${JSON.stringify(withKey(key, outcome))}\n`;
        held.push(line);
        length += line.length;
      }
      if (length >= BUFFER) await flush();
    },
    async commit(meta, beside) {
      await flush();
      await writeBeside(store, { ...beside, [metaNameOf(name)]: `${JSON.stringify({ ...meta, bytes }, null, 2)}\n` });
      return draft.commit();
    },
    discard: () => draft.discard(),
  };
}

/**
 * Publishes small files. A file that a killed run left is taken if it has the same content.
 * @throws QalignError RESUME_MISMATCH for another content
 */
async function writeBeside(store: Store, texts: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(texts)) {
    const draft = await store.draft(name);
    try {
      await guardWrite(
        () => draft.file.writeFile(text),
        (error) => `${name} cannot be written (${reasonOf(error)}); free disk space, or use another --out.`,
      );
      if ((await draft.commit()) === 'written') continue;
      const found = await store.stat(name);
      const same = found !== undefined && (await store.read(name, 0, found.bytes)).toString('utf8') === text;
      if (!same)
        throw new QalignError(
          'RESUME_MISMATCH',
          `${name} has other content and no result beside it; it is not replaced. Delete it, or use another --out.`,
        );
    } finally {
      await draft.discard();
    }
  }
}

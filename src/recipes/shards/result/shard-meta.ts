import Type, { type Static } from 'typebox';
import { problemWith } from '../../../../bridge/validate.js';
import { QalignError } from '../../../base/errors.js';
import type { ShardFormat } from '../names.js';
import type { Store } from '../store/store.js';

const closed = { additionalProperties: false };
const orNull = <T extends Type.TSchema>(schema: T, description: string): Type.TUnion<[T, Type.TNull]> =>
  Type.Union([schema, Type.Null()], { description });

/**
 * What a result of a shard says of itself: in the metadata of Parquet under the key `qalign_shard`, or in the file
 * `.meta.json` beside JSONL. It has no times and no paths, so that it is the same on every host.
 */
export const ShardMetaSchema = Type.Object(
  {
    format: Type.Literal('qalign-shard/1', { description: 'kind and version of these fields' }),
    score_version: Type.String({ description: 'hash of everything that determines the scores' }),
    tasks: Type.Array(Type.String(), { description: 'tasks of each item, in this order' }),
    strict: Type.Boolean({ description: 'items with warnings have an error instead of a score' }),
    limit: orNull(Type.Integer({ minimum: 1 }), 'most items that were read; null without a limit'),
    keep: orNull(Type.String(), 'condition of the key list; null without a list'),
    input: Type.Object(
      {
        name: Type.String({ description: 'base name of the shard' }),
        bytes: Type.Integer({ minimum: 0, description: 'its size in bytes' }),
        etag: orNull(Type.String(), 'its entity tag in object storage; null for a file'),
        ends_sha256: orNull(
          Type.String({ pattern: '^[0-9a-f]{64}$' }),
          'hash of the first and last MiB of a file; null in object storage',
        ),
      },
      { ...closed, description: 'the shard that was scored' },
    ),
    items: Type.Integer({ minimum: 0, description: 'number of pictures and clips' }),
    failed: Type.Integer({ minimum: 0, description: 'number of items with an error' }),
    rows: Type.Integer({ minimum: 0, description: 'number of rows: one for each item and task' }),
    bytes: orNull(Type.Integer({ minimum: 0 }), 'size of a JSONL result in bytes; null for Parquet'),
  },
  closed,
);
export interface ShardMeta extends Static<typeof ShardMetaSchema> {}

/** What decides the rows of a result, besides the input. */
export type ShardSettings = Pick<ShardMeta, 'score_version' | 'tasks' | 'strict' | 'limit' | 'keep'>;

type Setting = ShardSettings[keyof ShardSettings];

/** Key of the fields in the metadata of Parquet. */
export const META_KEY = 'qalign_shard';
const MOST_META = 1 << 20;
/** First request of the end of a Parquet file, which holds its metadata. */
const TAIL_BYTES = 1 << 16;

/** Name of the file of fields beside a JSONL result. */
export const metaNameOf = (result: string): string => `${result}.meta.json`;

/** Name of the key list beside a result. */
export const keepNameOf = (result: string): string => result.replace(/\.scores\.(?:parquet|jsonl)$/, '.keep.txt');

/**
 * Reads what a complete result says of itself. Undefined if there is no result.
 *
 * @throws QalignError RESUME_MISMATCH for a file that is cut or was not written by qalign for a shard
 */
export async function readShardMeta(store: Store, result: string, format: ShardFormat): Promise<ShardMeta | undefined> {
  const found = await store.stat(result);
  if (found === undefined) return undefined;
  const text =
    format === 'parquet' ? await parquetMeta(store, result, found.bytes) : await sidecarText(store, metaNameOf(result));
  const meta = parseMeta(text);
  if (meta === undefined || (meta.bytes !== null && meta.bytes !== found.bytes)) throw foreign(result);
  return meta;
}

const foreign = (result: string): QalignError =>
  new QalignError(
    'RESUME_MISMATCH',
    `${result} is incomplete, or no result of a shard; it is not replaced. Move or delete it, or use another --out.`,
  );

function parseMeta(text: string | undefined): ShardMeta | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return problemWith(ShardMetaSchema, value) === undefined ? (value as ShardMeta) : undefined;
  } catch {
    return undefined;
  }
}

async function sidecarText(store: Store, name: string): Promise<string | undefined> {
  const found = await store.stat(name);
  return found === undefined || found.bytes > MOST_META
    ? undefined
    : (await store.read(name, 0, found.bytes)).toString('utf8');
}

async function parquetMeta(store: Store, result: string, byteLength: number): Promise<string | undefined> {
  const { parquetMetadataAsync } = await import('hyparquet');
  const slice = async (start: number, end = byteLength): Promise<ArrayBuffer> => {
    const bytes = await store.read(result, start < 0 ? byteLength + start : start, end);
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  };
  const metadata = await parquetMetadataAsync({ byteLength, slice }, { initialFetchSize: TAIL_BYTES }).catch(
    (cause: unknown) => {
      if (cause instanceof QalignError) throw cause;
      return undefined;
    },
  );
  return metadata?.key_value_metadata?.find(({ key }) => key === META_KEY)?.value;
}

/** A result of another score_version or other settings. Each further result would meet it, so it ends the run. */
export class OtherSettings extends QalignError {}

/**
 * Requires that a result was written with the settings of this run.
 *
 * @throws OtherSettings RESUME_MISMATCH that names both versions or settings
 */
export function requireSettings(result: string, found: ShardMeta, wanted: ShardSettings): void {
  for (const name of ['score_version', 'tasks', 'strict', 'limit', 'keep'] as const) {
    if (JSON.stringify(found[name]) === JSON.stringify(wanted[name])) continue;
    const what = name === 'score_version' ? name : `${name} =`;
    throw new OtherSettings(
      'RESUME_MISMATCH',
      `${result} was written with ${what} ${show(found[name])}, but this run has ${show(wanted[name])}; use the old settings, or another --out.`,
    );
  }
}

/** @throws QalignError RESUME_MISMATCH if a result belongs to another shard, or to an earlier state of it */
export function requireInput(result: string, { input: was }: ShardMeta, is: ShardMeta['input']): void {
  const isSame = (name: 'etag' | 'ends_sha256'): boolean =>
    was[name] === null || is[name] === null || was[name] === is[name];
  if (was.bytes === is.bytes && isSame('etag') && isSame('ends_sha256')) return;
  const mark = was.etag === null ? `sha256 ${was.ends_sha256?.slice(0, 16)} of its ends` : `etag ${was.etag}`;
  throw new QalignError(
    'RESUME_MISMATCH',
    `${result} belongs to ${was.name} with ${was.bytes} bytes and ${mark}, and the shard has changed; delete the result to score it again.`,
  );
}

const show = (value: Setting): string =>
  value === null ? 'none' : typeof value === 'object' ? value.join(', ') : String(value);

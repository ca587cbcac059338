import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { JobBody } from '../../../api/jobs.js';
import { QalignError } from '../../../base/errors.js';
import { wholeLines } from '../../../base/files/lines.js';
import type { ServeConfig } from '../../../config/serve.js';
import type { ShardLine } from '../../../recipes/shards/events.js';
import { expandIn } from '../../../recipes/shards/expand.js';
import { parseKeep } from '../../../recipes/shards/keep.js';
import type { ShardFormat } from '../../../recipes/shards/names.js';
import { requireOneTask } from '../../../recipes/shards/score-shards.js';
import { createJobStores, requireOutput } from './stores.js';

/** Largest number of shards of a job: their names are in memory while the list is made. */
const MOST_SHARDS = 100_000;

/** What a job over shards reads of each shard, and where it writes. */
export interface ShardPlan {
  /** Output folder below the root, or `s3://`. */
  readonly out: string;
  readonly format: ShardFormat;
  readonly keep?: string | undefined;
  readonly limit?: number | undefined;
}

/** A request for a job over shards. */
export interface ShardRequest {
  readonly patterns: readonly string[];
  readonly plan: ShardPlan;
}

/** Settings that only a job over shards has. */
const OF_SHARDS = ['shards', 'out', 'format', 'keep', 'limit'] as const;
/** Settings of a job over shards. Its results have the scale and prompt of the model, as the shards of the CLI. */
const ALLOWED: readonly string[] = [...OF_SHARDS, 'tasks', 'strict', 'model', 'webhook'];

/** Undefined for a job over items. @throws QalignError BODY_INVALID, PATH_FORBIDDEN */
export function shardRequestOf(body: JobBody): ShardRequest | undefined {
  const given = Object.keys(body);
  const { shards, out, format = 'parquet', keep, limit } = body;
  if (shards === undefined) {
    const wrong = OF_SHARDS.find((name) => given.includes(name));
    if (wrong === undefined) return undefined;
    throw new QalignError('BODY_INVALID', `${wrong} belongs to a job over shards; name the shards in shards.`);
  }
  if (out === undefined)
    throw new QalignError('BODY_INVALID', 'A job over shards needs out, the folder of its results.');
  const wrong = given.find((name) => !ALLOWED.includes(name));
  if (wrong !== undefined)
    throw new QalignError('BODY_INVALID', `A job over shards has no ${wrong}; it can have ${ALLOWED.join(', ')}.`);
  const hidden = shards.find((name) => name.split('/').some((part) => /^\.(?!\.?$)/.test(part)));
  if (hidden !== undefined)
    throw new QalignError('PATH_FORBIDDEN', `${JSON.stringify(hidden)} has a part that begins with a dot.`);
  asBody(() => requireOneTask(keep === undefined ? undefined : parseKeep(keep), body.tasks));
  return { patterns: shards, plan: { out, format, keep, limit } };
}

/** Expands the shards of a job and writes them as JSON lines. @returns the number of shards and a hash of them */
export async function writeShardList(
  path: string,
  { patterns, plan }: ShardRequest,
  config: ServeConfig,
  signal: AbortSignal,
): Promise<{ total: number; sha256: string }> {
  await requireOutput(config, plan.out);
  const stores = createJobStores(config, signal);
  try {
    const shards = await expandIn(stores, patterns, plan.format, MOST_SHARDS).catch((error: unknown) =>
      asBody(() => {
        throw error;
      }),
    );
    const lines = shards.map((shard) => `${JSON.stringify(shard)}\n`);
    await pipeline(Readable.from(lines), createWriteStream(path, { flags: 'wx', flush: true }));
    return { total: shards.length, sha256: createHash('sha256').update(lines.join('')).digest('hex') };
  } finally {
    await stores.close();
  }
}

/** The shards of a job from number `skip` on. */
export async function* readShardList(path: string, skip: number): AsyncGenerator<ShardLine, void, undefined> {
  for await (const { number, text } of wholeLines(createReadStream(path)))
    if (number > skip) yield JSON.parse(text) as ShardLine;
}

/** An error of the command line is one of the body here. */
function asBody<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof QalignError) || error.code !== 'USAGE') throw error;
    throw new QalignError('BODY_INVALID', error.message.replaceAll(/--(?=[a-z])/g, ''), { cause: error });
  }
}

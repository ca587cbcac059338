import { QalignError } from '../../../base/errors.js';
import { lookAt } from '../../../media/media-kind.js';
import type { MediaSource } from '../../../media/sources.js';

/** A picture or clip of a shard, by the key under which its score is joined to other tables. */
export interface Sample {
  /** Undefined for a sample without key; its source then has an error. */
  readonly key: string | undefined;
  /** With an `error` if it cannot be scored. */
  readonly source: MediaSource;
  /** Bytes that it holds in memory. */
  readonly bytes: number;
}

/** A sample that is opened when its turn comes. */
export interface PendingSample {
  /** Bytes that it already holds in memory. */
  readonly bytes: number;
  open(): Promise<Sample>;
}

/** How samples of every kind of shard are read. */
export interface ReadOptions {
  /** Fetch media that are http(s) URLs. */
  readonly allowUrls: boolean;
  /** Largest picture or clip in bytes. */
  readonly most: number;
  readonly signal?: AbortSignal | undefined;
}

/** @param input name of the picture in results */
export async function sampleOfBytes(key: string | undefined, input: string, media: Uint8Array): Promise<Sample> {
  const { kind, identity } = await lookAt(media);
  return { key, source: { input, kind, media, identity }, bytes: media.length };
}

/** A sample that fails with `error`. */
export function failedSample(key: string | undefined, input: string, error: QalignError): Sample {
  return { key, source: { input, kind: 'image', media: new Uint8Array(), error }, bytes: 0 };
}

/** The row of a sample without key. @param why the end of a sentence about the sample */
export function withoutKey(shard: string, input: string, where: string, why: string): Sample {
  const error = new QalignError(
    'SHARD_KEY_MISSING',
    `${where} of ${shard} ${why}, so its score could not be joined; give it a key, best as a text of one line.`,
  );
  return failedSample(undefined, input, error);
}

export function tooLarge(input: string, size: number, most: number): QalignError {
  return new QalignError('MEDIA_TOO_LARGE', `${input} has ${size} bytes, more than the limit of ${most} bytes.`);
}

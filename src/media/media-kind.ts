import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { QalignError } from '../base/errors.js';
import type { Reach } from '../base/files/reach.js';
import { sniff, SNIFF_BYTES, type Sniffed } from './decode/magic.js';
import { existingName } from './find/same-name.js';
import { readAt, withRegularFile, type OpenFile } from './image-file.js';
import { pathOf, type MediaIdentity, type MediaInput } from './media-input.js';

/** How a medium is prepared: as a picture, a clip, or a folder of the frames of a clip. */
export type MediaKind = 'image' | 'video' | 'folder';

/** Properties of a file from its first bytes and its file system entry. */
export interface Look {
  /** A file that is neither picture nor clip counts as a picture, because the picture decoder reports the error. */
  readonly kind: 'image' | 'video';
  readonly sniffed: Sniffed;
  /** The first bytes, at most {@link SNIFF_BYTES}. */
  readonly start: Uint8Array;
  readonly identity: MediaIdentity;
}

export interface LookOptions {
  /** Files to hash. Default: none. */
  readonly hash?: boolean | ((seen: Pick<Look, 'sniffed' | 'start'>) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Allowed location of the opened file; anywhere by default. */
  readonly within?: Reach | undefined;
}

/**
 * Reads a file once through one descriptor, so that kind and identity belong to the same file.
 *
 * @throws QalignError MEDIA_NOT_FOUND; MEDIA_UNREADABLE, also if it is not a regular file
 */
export async function lookAt(media: MediaInput, { hash = false, signal, within }: LookOptions = {}): Promise<Look> {
  const path = pathOf(media);
  if (path === undefined) return lookAtBytes(media as Uint8Array, hash === true);
  return withRegularFile(
    path,
    async (file) => {
      const buffer = Buffer.allocUnsafe(SNIFF_BYTES);
      const start = buffer.subarray(0, await readAt(file, buffer, { from: 0 }));
      const sniffed = sniff(start);
      const isHashed = typeof hash === 'boolean' ? hash : hash({ sniffed, start });
      const sha256 = isHashed ? await hashOf(file, signal) : undefined;
      return { kind: kindFrom(sniffed), sniffed, start, identity: identityOf(file.found, sha256) };
    },
    signal,
    within,
  );
}

function lookAtBytes(bytes: Uint8Array, isHashed: boolean): Look {
  const start = bytes.subarray(0, SNIFF_BYTES);
  const sniffed = sniff(start);
  const sha256 = isHashed ? createHash('sha256').update(bytes).digest('hex') : undefined;
  const identity = { bytes: bytes.length, ...(sha256 === undefined ? {} : { sha256 }) };
  return { kind: kindFrom(sniffed), sniffed, start, identity };
}

const kindFrom = (sniffed: Sniffed): 'image' | 'video' => (sniffed.kind === 'video' ? 'video' : 'image');

/** Determines the kind from the first bytes. @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE */
export async function kindOf(media: MediaInput, within?: Reach): Promise<'image' | 'video'> {
  return (await lookAt(media, { within })).kind;
}

function identityOf({ size, mtimeNs }: BigIntStats, sha256: string | undefined): MediaIdentity {
  const modified = isoTime(mtimeNs);
  return {
    bytes: Number(size),
    ...(modified === undefined ? {} : { modified }),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}

/** `2026-11-28T17:29:13.123456789Z`. Undefined for a time outside the range of Date, which some file systems hold. */
export function isoTime(nanoseconds: bigint): string | undefined {
  const rest = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n; // times before 1970 are negative
  const date = new Date(Number((nanoseconds - rest) / 1_000_000n));
  if (Number.isNaN(date.getTime())) return undefined;
  return date.toISOString().replace(/\.\d+Z$/, `.${String(rest).padStart(9, '0')}Z`);
}

async function hashOf(file: OpenFile, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1 << 18);
  for (let at = 0; ;) {
    signal?.throwIfAborted();
    const bytes = await readAt(file, buffer, { from: at });
    if (bytes === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytes));
    at += bytes;
  }
}

/**
 * Returns the kind of the media of a record. The `kind` of the record wins, because a GIF can be a picture or a clip. A
 * directory is a folder of frames.
 *
 * @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE
 */
export async function kindOfRecord(
  { media, kind }: { readonly media: string; readonly kind?: 'image' | 'video' | undefined },
  within?: Reach,
): Promise<MediaKind> {
  const path = await existingName(media);
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new QalignError(
      cause.code === 'ENOENT' ? 'MEDIA_NOT_FOUND' : 'MEDIA_UNREADABLE',
      `${media} cannot be read (${cause.code ?? cause.message}).`,
      { cause },
    );
  });
  return found.isDirectory() ? 'folder' : (kind ?? kindOf(path, within));
}

import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QalignError, type ErrorCode } from '../../base/errors.js';
import { wholeLines } from '../../base/files/lines.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { openWhole, type WholeFile } from '../../base/files/whole-file.js';
import { isUrl } from '../../media/find/once.js';
import type { MediaInput } from '../../media/media-input.js';
import type { ScoreSource } from '../../recipes/score/scorer.js';
import { reasonOf } from '../../base/files/reason.js';

/** Inputs that are found once and scored by several models. */
export interface Replay {
  /** Yields the inputs and stores their names. Must be read to its end before `again`. */
  readonly first: AsyncIterable<ScoreSource>;
  /** Yields the same inputs again. */
  again(): AsyncIterable<ScoreSource>;
  close(): Promise<void>;
}

/** A source as stored in a line of the list. */
interface Kept {
  readonly input: string;
  readonly kind: ScoreSource['kind'];
  readonly path?: string;
  /** A path that is not UTF-8, in base64. */
  readonly bytes?: string;
  readonly identity?: ScoreSource['identity'];
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

/**
 * Stores the names of the inputs in a temporary file, so that a million names take no memory. Stdin is read once, and
 * every model scores the same list. The bytes of an input without a path (a picture on stdin or a pipe) are stored
 * beside it.
 *
 * @param fetch fetches a URL; its bytes are not stored but fetched for each model
 */
export async function createReplay(
  sources: AsyncIterable<ScoreSource>,
  fetch: (url: string) => AsyncIterable<ScoreSource>,
): Promise<Replay> {
  const sentence = (error: Error): string =>
    `The list of inputs cannot be stored for the next model (${reasonOf(error)}); free disk space, or set TMPDIR to another folder.`;
  const folder = await guardWrite(() => mkdtemp(join(tmpdir(), 'qalign-inputs-')), sentence);
  const list = join(folder, 'names.jsonl');
  let count = 0;
  const pathOfBytes = async (bytes: Uint8Array): Promise<string> => {
    const path = join(folder, `${count}`);
    await guardWrite(() => writeFile(path, bytes), sentence);
    return path;
  };
  async function* first(): AsyncGenerator<ScoreSource, void, undefined> {
    const file = await openWhole(list, { sentence });
    try {
      for await (const source of sources) {
        await keep(file, source, pathOfBytes);
        count += 1;
        yield source;
      }
      await file.commit();
    } finally {
      await file.discard();
    }
  }
  async function* again(): AsyncGenerator<ScoreSource, void, undefined> {
    for await (const { text } of wholeLines(createReadStream(list))) {
      const { input, kind, path, bytes, identity, error } = JSON.parse(text) as Kept;
      const media: MediaInput = bytes === undefined ? (path ?? input) : { path: Buffer.from(bytes, 'base64') };
      if (error === undefined && path === undefined && bytes === undefined) yield* fetch(input);
      else yield { input, kind, media, identity, error: error && new QalignError(error.code, error.message) };
    }
  }
  return { first: first(), again, close: () => rm(folder, { recursive: true, force: true }) };
}

async function keep(
  file: WholeFile,
  { input, kind, media, identity, error }: ScoreSource,
  pathOfBytes: (bytes: Uint8Array) => Promise<string>,
): Promise<void> {
  const kept: Kept = {
    input,
    kind,
    ...(await placeOf(input, media, error !== undefined, pathOfBytes)),
    ...(identity === undefined ? {} : { identity }),
    ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
  };
  await file.write(`${JSON.stringify(kept)}\n`);
}

async function placeOf(
  input: string,
  media: MediaInput,
  isFailed: boolean,
  pathOfBytes: (bytes: Uint8Array) => Promise<string>,
): Promise<Pick<Kept, 'path' | 'bytes'>> {
  if (typeof media === 'string') return { path: media };
  if (!(media instanceof Uint8Array)) return { bytes: Buffer.from(media.path).toString('base64') };
  return isFailed || isUrl(input) ? {} : { path: await pathOfBytes(media) };
}

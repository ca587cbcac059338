/** Expands inputs to pictures and clips: files, folders, globs, URLs, lists, pipes. The parts are in `find/`. */
import { fstatSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { addAbortSignal, Readable } from 'node:stream';
import { QalignError } from '../base/errors.js';
import { searchFolder } from './find/folder-search.js';
import { expandGlob } from './find/glob.js';
import { isGlob } from './find/glob-pattern.js';
import { listedNames, readStdin } from './find/input-list.js';
import {
  failedSource,
  STDIN_NAME,
  type ExpandOptions,
  type MediaSource,
  type OpenOptions,
  type SourceName,
} from './find/media-source.js';
import { everyTime, firstTime, isUrl, textOf, type FirstTime } from './find/once.js';
import { gather, isDescriptorName, readPipe } from './find/pipe.js';
import { existingName } from './find/same-name.js';
import { notRegular, openError } from './image-file.js';
import { withDefaults } from './limits.js';
import { pathOf } from './media-input.js';
import { lookAt } from './media-kind.js';
import { fetchMedia } from './url.js';

export type { ExpandOptions, MediaSource, OpenOptions, PassedOver, SourceName } from './find/media-source.js';

/**
 * Expands inputs to media in order. An input is a file, a glob, a folder (searched recursively, sorted by name), a URL,
 * or a pipe.
 *
 * - Folders and globs skip names that begin with a dot.
 * - Folders recognise files by their first bytes, not by their names, and report skipped files.
 * - Named pipes and descriptors (`/dev/fd/63`) are read to their end.
 * - `-` reads stdin: a picture or clip, named `<stdin>` in results, or a list of inputs (one per line, or separated by
 *   NUL).
 * - An input that cannot be opened becomes a source with an `error` and does not stop the others.
 *
 * @throws the reason of `signal`
 * @example
 * ```ts
 * const sources = expandSources(['photos/', '*.mp4'], { exclude: ['*_thumb.jpg'] });
 * for await (const { input } of sources) console.log(input);
 * ```
 */
export async function* expandSources(
  inputs: AsyncIterable<SourceName> | Iterable<SourceName>,
  options: ExpandOptions = {},
): AsyncGenerator<MediaSource, void, undefined> {
  // one folder or one glob cannot contain the same file twice
  const isAlone = Array.isArray(inputs) && inputs.length === 1 && inputs[0] !== '-';
  const isFirst = options.once === true && !isAlone ? firstTime(options.onPassedOver) : everyTime();
  yield* expandAll(inputs, isFirst, options);
}

async function* expandAll(
  inputs: AsyncIterable<SourceName> | Iterable<SourceName>,
  isFirst: FirstTime,
  options: ExpandOptions,
): AsyncGenerator<MediaSource, void, undefined> {
  for await (const input of inputs) {
    options.signal?.throwIfAborted();
    if (input === '-') yield* expandStdin(isFirst, options);
    else if (isUrl(input)) {
      if (isFirst(input)) yield await fetched(input as string, options);
    } else yield* expandPath(input, isFirst, options);
  }
}

async function* expandStdin(isFirst: FirstTime, options: ExpandOptions): AsyncGenerator<MediaSource, void, undefined> {
  if (!isFirst('-')) return;
  const found = await openStdin(options);
  if ('input' in found) {
    yield found;
    return;
  }
  let names = 0;
  const counted = async function* (): AsyncGenerator<SourceName, void, undefined> {
    for await (const name of listedNames(found.bytes, options.signal)) {
      names++;
      yield name;
    }
  };
  yield* expandAll(counted(), isFirst, options);
  if (names === 0) options.onEmptyFolder?.(STDIN_NAME);
}

/** Returns the picture or clip, a source with an error, or the bytes of a list. */
async function openStdin(options: ExpandOptions): Promise<MediaSource | { readonly bytes: AsyncIterable<Buffer> }> {
  const { signal } = options;
  const stdin = options.stdin ?? process.stdin;
  if (signal !== undefined && stdin instanceof Readable) addAbortSignal(signal, stdin);
  try {
    if (options.stdin === undefined && isFolder(0))
      throw new QalignError('MEDIA_UNREADABLE', `${STDIN_NAME} is a folder; name it as an input instead.`);
    const { is, bytes } = await readStdin(stdin);
    if (is === 'list') return { bytes };
    return await sourceOfBytes(STDIN_NAME, await gather(() => bytes, STDIN_NAME, limitsOf(options), signal), options);
  } catch (error) {
    signal?.throwIfAborted();
    if (stdin instanceof Readable) stdin.destroy(); // otherwise a writer that continues keeps the process alive
    return { ...failedSource(STDIN_NAME, openError(STDIN_NAME, error)), media: new Uint8Array() };
  }
}

/** Node reports neither bytes nor an error for a stdin that is a folder. */
function isFolder(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isDirectory();
  } catch {
    return false;
  }
}

async function* expandPath(
  input: SourceName,
  isFirst: FirstTime,
  options: ExpandOptions,
): AsyncGenerator<MediaSource, void, undefined> {
  const named = typeof input === 'string' ? await existingName(input) : input;
  const found = await stat(pathOf(named) as string | Buffer).catch((error: unknown) => openError(textOf(input), error));
  let sources: AsyncIterable<MediaSource>;
  if (found instanceof QalignError) {
    if (typeof input !== 'string' || found.code !== 'MEDIA_NOT_FOUND' || !isGlob(input)) {
      if (isFirst(input)) yield failedSource(pathOf(input) as string | Buffer, found);
      return;
    }
    sources = expandGlob(input, options);
  } else if (found.isDirectory()) sources = searchFolder(pathOf(named) as string | Buffer, options);
  else {
    if (isFirst(named)) yield await openPath(input, named, options);
    return;
  }
  for await (const source of sources) if (source.media instanceof Uint8Array || isFirst(source.media)) yield source;
}

/**
 * Opens one input. A path is a file, never a folder or a pattern. Bytes are the content of a file. A failure is
 * returned as the `error` of the source.
 */
export async function openSource(input: SourceName | Uint8Array, options: OpenOptions = {}): Promise<MediaSource> {
  if (input instanceof Uint8Array) return sourceOfBytes('<bytes>', input, options);
  if (isUrl(input)) return fetched(input as string, options);
  return openPath(input, typeof input === 'string' ? await existingName(input) : input, options);
}

/** @param named `input`, or the existing file with this name in another Unicode form */
async function openPath(input: SourceName, named: SourceName, options: OpenOptions): Promise<MediaSource> {
  const path = pathOf(named) as string | Buffer;
  try {
    const found = await stat(path);
    if (found.isFIFO() || (found.isFile() && typeof path === 'string' && isDescriptorName(path)))
      return await sourceOfBytes(textOf(input), await readPipe(path, limitsOf(options), options.signal), options);
    if (!found.isFile()) throw notRegular(path, found);
    const { kind, identity } = await lookAt(named, {
      hash: options.hash,
      signal: options.signal,
      within: options.limits?.within,
    });
    return { input: textOf(input), kind, media: named, identity };
  } catch (error) {
    options.signal?.throwIfAborted();
    return failedSource(pathOf(input) as string | Buffer, openError(path, error));
  }
}

async function fetched(url: string, options: OpenOptions): Promise<MediaSource> {
  if (options.allowUrls !== true)
    return failedSource(
      url,
      new QalignError(
        'MEDIA_URL_FORBIDDEN',
        'URLs are not fetched by default; add --allow-urls, or download the file first.',
      ),
    );
  try {
    const media = await fetchMedia(url, { signal: options.signal, limits: options.limits });
    return await sourceOfBytes(url, media, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    return failedSource(url, openError(url, error));
  }
}

async function sourceOfBytes(input: string, media: Uint8Array, { hash }: OpenOptions): Promise<MediaSource> {
  const { kind, identity } = await lookAt(media, { hash });
  return { input, kind, media, identity };
}

/** Returns true if an input can be read only once. Such inputs cannot be counted by opening them all first. */
export async function isReadOnce(input: SourceName): Promise<boolean> {
  if (input === '-' || isUrl(input)) return true;
  const found = await stat(pathOf(input) as string | Buffer).catch(() => undefined);
  return found?.isFIFO() === true;
}

const limitsOf = ({ limits }: OpenOptions): { maxBytes: number; timeoutMs: number } => withDefaults(limits);

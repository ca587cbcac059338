import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { glob, isDynamicPattern } from 'tinyglobby';
import { QalignError } from '../base/errors.js';
import type { MediaIdentity, MediaInput } from './media-input.js';
import { kindOf } from './media-kind.js';
import { fetchMedia } from './url.js';

/**
 * What is looked at in a folder. HEIC is no format that can be read: half of a telephone's pictures must not be passed
 * over in silence.
 */
const EXTENSIONS = new Set(
  '.jpg .jpeg .jpe .jfif .png .webp .gif .tif .tiff .avif .bmp .dib .heic .heif .mp4 .m4v .mkv .webm .mov .avi .ts .mts .m2ts .mpg .mpeg .vob .flv .ogv .3gp .3g2 .wmv .asf .mxf'.split(
    ' ',
  ),
);

/** A picture or clip. `input` is how results name it. */
export interface MediaSource {
  readonly input: string;
  readonly kind: 'image' | 'video';
  /** A path or the bytes. */
  readonly media: MediaInput;
  /** Of the file as it was found; what cannot be opened, and what is no file, has none. */
  readonly identity?: MediaIdentity | undefined;
  /** What is known to be wrong with it already; it then fails with this. */
  readonly error?: QalignError | undefined;
}

export interface ExpandOptions {
  readonly signal?: AbortSignal | undefined;
  /** Fetch http(s) URLs; off, they are refused by name. */
  readonly allowUrls?: boolean | undefined;
}

/**
 * Files as they are named, globs that the shell left alone, folders recursively in the order of their names, `-` for a
 * list on stdin (a line each, or NUL between them). The kind is found from the first bytes. An input that cannot be
 * opened becomes a source with an `error` and does not stop the others.
 */
export async function* expandSources(
  inputs: AsyncIterable<string> | Iterable<string>,
  options: ExpandOptions = {},
): AsyncGenerator<MediaSource, void, undefined> {
  const { signal } = options;
  for await (const input of inputs) {
    signal?.throwIfAborted();
    if (input === '-')
      yield* expandSources(
        listedNames(signal === undefined ? process.stdin : addAbortSignal(signal, process.stdin), signal),
        options,
      );
    else if (/^https?:\/\//i.test(input)) yield await fetched(input, options);
    else if (isDynamicPattern(input) && !(await exists(input))) yield* expandGlob(input, signal);
    else yield* expandPath(input, signal);
  }
}

/**
 * One input as it is: a path is a file whatever it looks like, no folder and no pattern. What is wrong with it is its
 * `error`.
 */
export async function openSource(input: string | Uint8Array, options: ExpandOptions = {}): Promise<MediaSource> {
  if (typeof input !== 'string') return { input: '<bytes>', kind: await kindOf(input), media: input };
  if (/^https?:\/\//i.test(input)) return fetched(input, options);
  if (await isDirectory(input))
    return failed(
      input,
      new QalignError('MEDIA_UNREADABLE', `${input} is a folder; name a file, or expand it with expandSources.`),
    );
  for await (const source of expandPath(input, options.signal)) return source;
  throw new QalignError('MEDIA_NOT_FOUND', `There is no file ${input}.`);
}

async function* expandPath(path: string, signal?: AbortSignal): AsyncGenerator<MediaSource, void, undefined> {
  try {
    const found = await stat(path);
    if (!found.isDirectory()) {
      yield { input: path, kind: found.isFile() ? await kindOf(path) : 'image', media: path };
      return;
    }
  } catch (error) {
    yield failed(path, asMediaError(path, error));
    return;
  }
  // Node's own order is the file system's: sorted, a run is the same on every machine
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => asMediaError(path, error));
  if (entries instanceof QalignError) {
    yield failed(path, entries);
    return;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    signal?.throwIfAborted();
    const inner = join(path, entry.name);
    // a link to a folder may lead round in a circle; one to a file is as good as the file
    if (entry.isDirectory()) yield* expandPath(inner, signal);
    else if (
      EXTENSIONS.has(extname(entry.name).toLowerCase()) &&
      !(entry.isSymbolicLink() && (await isDirectory(inner)))
    )
      yield* expandPath(inner, signal);
  }
}

/** A pattern that names nothing is an error of its own: a silent nothing would look like success. */
async function* expandGlob(pattern: string, signal?: AbortSignal): AsyncGenerator<MediaSource, void, undefined> {
  const all = await glob(pattern, {
    dot: false,
    expandDirectories: false,
    absolute: isAbsolute(pattern),
    ...(signal === undefined ? {} : { signal }),
  });
  const found = (await withoutRounds(all)).sort();
  if (found.length === 0) yield failed(pattern, new QalignError('MEDIA_NOT_FOUND', `No file matches ${pattern}.`));
  for (const path of found) yield* expandPath(path, signal);
}

/** A linked folder that leads back to one above gives every file again: the shortest way to each is kept. */
async function withoutRounds(paths: readonly string[]): Promise<string[]> {
  const seen = new Map<string, string>();
  for (const path of [...paths].sort((a, b) => a.length - b.length)) {
    const place = join(await realpath(dirname(path)).catch(() => dirname(path)), basename(path));
    if (!seen.has(place)) seen.set(place, path);
  }
  return [...seen.values()];
}

async function fetched(url: string, { allowUrls, signal }: ExpandOptions): Promise<MediaSource> {
  if (allowUrls !== true)
    return failed(
      url,
      new QalignError(
        'MEDIA_URL_FORBIDDEN',
        'URLs are not fetched unless allowed; add --allow-urls, or fetch the file first.',
      ),
    );
  try {
    const media = await fetchMedia(url, { signal });
    return { input: url, kind: await kindOf(media), media };
  } catch (error) {
    signal?.throwIfAborted();
    return failed(url, asMediaError(url, error));
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/**
 * Names as `find` and `ls` print them. With a NUL in its first part the list is one of `find -print0`, whose names may
 * hold line breaks.
 */
export async function* listedNames(
  input: AsyncIterable<Buffer | string>,
  signal?: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let open = '';
  let separator: string | RegExp | undefined;
  const named = (name: string): boolean => name.trim() !== '' && name !== '-';
  for await (const chunk of input) {
    signal?.throwIfAborted();
    open += typeof chunk === 'string' ? chunk : decoder.write(chunk);
    separator ??= open.includes('\0') ? '\0' : open.includes('\n') ? /\r?\n/ : undefined;
    if (separator === undefined) continue;
    const names = open.split(separator);
    open = names.pop() ?? '';
    yield* names.filter(named);
  }
  const last = (open + decoder.end()).replace(/\r$/, '');
  if (named(last)) yield last;
}

function failed(input: string, error: QalignError): MediaSource {
  return { input, kind: 'image', media: input, error };
}

function asMediaError(path: string, error: unknown): QalignError {
  if (error instanceof QalignError) return error;
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return new QalignError(
    missing ? 'MEDIA_NOT_FOUND' : 'MEDIA_UNREADABLE',
    missing ? `There is no file or folder ${path}.` : `${path} cannot be read: ${(error as Error).message}.`,
    { cause: error },
  );
}

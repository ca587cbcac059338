import type { QalignError } from '../../base/errors.js';
import type { MediaLimits } from '../limits.js';
import { mediaAt, pathText, type BytePath, type MediaIdentity, type MediaInput } from '../media-input.js';

/** A picture or clip. `input` is how results name it. */
export interface MediaSource {
  /** Name of the input in results. */
  readonly input: string;
  /** What it is, by its first bytes. */
  readonly kind: 'image' | 'video';
  /** A path or the bytes. */
  readonly media: MediaInput;
  /** Of the file as it was found, or of the bytes; what cannot be opened has none. */
  readonly identity?: MediaIdentity | undefined;
  /** What is known to be wrong with it already; it then fails with this. */
  readonly error?: QalignError | undefined;
}

/** What a person names: a path, a folder, a glob, a URL or `-`; or a path whose bytes are not UTF-8. */
export type SourceName = string | BytePath;

/**
 * Why something that was found is no source:
 * - `hidden`: its name begins with a dot; of a hidden folder only the folder itself is reported
 * - `not-media`: by its first bytes it is something else
 * - `excluded`: `include` or `exclude` leaves it out; of an excluded folder only the folder itself is reported
 * - `special-file`: a pipe, socket or device within a folder; named itself, a pipe is read
 * - `linked-folder`: a link to a folder within a folder, or one that a glob went into already
 * - `repeated`: the same file, URL or stdin was named before
 */
export type PassedOver = 'hidden' | 'not-media' | 'excluded' | 'special-file' | 'linked-folder' | 'repeated';

export interface OpenOptions {
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /** Fetch http(s) URLs; off, they are refused by name. */
  readonly allowUrls?: boolean | undefined;
  /** Identity with the SHA-256 of the bytes: every file is then read whole. */
  readonly hash?: boolean | undefined;
  /** `maxBytes` and, as a limit on silence, `timeoutMs` bound what comes from URLs, pipes and stdin. */
  readonly limits?: Partial<MediaLimits> | undefined;
}

/** Which files of folders and lists are taken, and who hears of those passed over. */
export interface ExpandOptions extends OpenOptions {
  /**
   * Only files of folders and globs that one of these patterns matches. A pattern without `/` matches the base name at
   * any depth, one with `/` the path from the searched folder (of a glob: from its part without wildcards). Letter case
   * counts. What is named itself is always taken.
   */
  readonly include?: readonly string[] | undefined;
  /** The same for what is left out; a folder that matches is left out whole. */
  readonly exclude?: readonly string[] | undefined;
  /** Take what begins with a dot, in folders and globs. */
  readonly hidden?: boolean | undefined;
  /**
   * Each input once: the same absolute path (links are not followed, `..` is resolved by its letters), URL or stdin. It
   * takes about 30 bytes of memory for each input, and none for a single folder or glob.
   */
  readonly once?: boolean | undefined;
  /** So many files of a folder or glob are opened at a time; 32 by default. With 1 none is opened unasked. */
  readonly ahead?: number | undefined;
  /** Called in the order of the search. */
  readonly onPassedOver?: ((passed: { readonly input: string; readonly reason: PassedOver }) => void) | undefined;
  /** A folder or glob of which everything was passed over, or `<stdin>` for a list without names. */
  readonly onEmptyFolder?: ((input: string) => void) | undefined;
  /** What `-` reads; the stdin of the process by default. */
  readonly stdin?: AsyncIterable<Buffer | string> | undefined;
}

/** How results name what came from stdin. */
export const STDIN_NAME = '<stdin>';

/** A source that fails with `error`; nothing is said of its kind. */
export function failedSource(media: string | Buffer, error: QalignError): MediaSource {
  return { input: pathText(media), kind: 'image', media: mediaAt(media), error };
}

import type { QalignError } from '../../base/errors.js';
import type { MediaLimits } from '../limits.js';
import { mediaAt, pathText, type BytePath, type MediaIdentity, type MediaInput } from '../media-input.js';

/** A picture or clip. `input` is its name in results. */
export interface MediaSource {
  /** Name of the input in results. */
  readonly input: string;
  /** What it is, by its first bytes. */
  readonly kind: 'image' | 'video';
  /** A path or bytes. */
  readonly media: MediaInput;
  /** Identity of the file or the bytes. Undefined for a file that cannot be opened. */
  readonly identity?: MediaIdentity | undefined;
  /** An error that is already known. Scoring the source fails with it. */
  readonly error?: QalignError | undefined;
}

/** An input as given by the user: a path, a folder, a glob, a URL, `-`, or a path with bytes that are not UTF-8. */
export type SourceName = string | BytePath;

/**
 * Why a file or folder was skipped:
 * - `hidden`: the name begins with a dot; of a hidden folder, only the folder itself is reported
 * - `not-media`: the first bytes are of another type
 * - `excluded`: `include` or `exclude` rules it out; of an excluded folder, only the folder itself is reported
 * - `special-file`: a pipe, socket or device within a folder; a pipe that is named directly is read
 * - `linked-folder`: a link to a folder within a folder, or a folder that a glob has already entered
 * - `repeated`: the same file, URL or stdin was named before
 */
export type PassedOver = 'hidden' | 'not-media' | 'excluded' | 'special-file' | 'linked-folder' | 'repeated';

export interface OpenOptions {
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Fetch http(s) URLs. Without it, URLs are refused.
   * @default false
   */
  readonly allowUrls?: boolean | undefined;
  /**
   * Add the SHA-256 of the bytes to the identity. Every file is then read completely.
   * @default false
   */
  readonly hash?: boolean | undefined;
  /**
   * Limits for URLs, pipes and stdin: `maxBytes`, and `timeoutMs` as the longest time without data.
   * @default DEFAULT_LIMITS
   */
  readonly limits?: Partial<MediaLimits> | undefined;
}

/** Options that select files from folders and lists, and callbacks for skipped files. */
export interface ExpandOptions extends OpenOptions {
  /**
   * Take only files of folders and globs that match one of these patterns. A pattern without `/` matches the base name
   * at any depth. A pattern with `/` matches the path relative to the searched folder (for a glob: relative to its part
   * without wildcards). Matching is case-sensitive. Files that are named directly are always taken.
   * @default all files
   */
  readonly include?: readonly string[] | undefined;
  /**
   * Leave out files that match. A matching folder is left out completely.
   * @default none
   */
  readonly exclude?: readonly string[] | undefined;
  /**
   * Take names that begin with a dot, in folders and globs.
   * @default false
   */
  readonly hidden?: boolean | undefined;
  /**
   * Take each input once. Inputs are equal if they have the same absolute path, URL, or are both stdin. Links are not
   * followed, and `..` is resolved textually. It takes about 30 bytes of memory per input, and none for a single folder
   * or glob.
   * @default false
   */
  readonly once?: boolean | undefined;
  /**
   * Number of files of a folder or glob that are opened ahead. Default: 32. With 1, files are opened only on request.
   */
  readonly ahead?: number | undefined;
  /** Called for each skipped file, in search order. */
  readonly onPassedOver?: ((passed: { readonly input: string; readonly reason: PassedOver }) => void) | undefined;
  /** Called for a folder or glob in which every file was skipped, or with `<stdin>` for a list without names. */
  readonly onEmptyFolder?: ((input: string) => void) | undefined;
  /** The stream that `-` reads. Default: the stdin of the process. */
  readonly stdin?: AsyncIterable<Buffer | string> | undefined;
}

/** Name of stdin in results. */
export const STDIN_NAME = '<stdin>';

/** A source that fails with `error`. Its kind is unknown and set to image. */
export function failedSource(media: string | Buffer, error: QalignError): MediaSource {
  return { input: pathText(media), kind: 'image', media: mediaAt(media), error };
}

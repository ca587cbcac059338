import type { FileHandle } from 'node:fs/promises';
import type { RetryOptions } from './retry.js';

/** What is known of a file or object without reading it. */
export interface Stored {
  /** Size in bytes. */
  readonly bytes: number;
  /** Entity tag of an object; files have none. */
  readonly etag?: string | undefined;
}

/** A file that is written on the local disk and becomes visible only when it is complete. */
export interface StoreDraft {
  readonly file: FileHandle;
  /**
   * Publishes the file under its name, if nothing has this name. `exists`: something has this name, and the draft was
   * dropped.
   */
  commit(): Promise<'written' | 'exists'>;
  /** Removes the draft. Does nothing after `commit`. */
  discard(): Promise<void>;
}

/** Local files, or object storage. Errors of the storage are retried with growing pauses before they are thrown. */
export interface Store {
  /** Undefined if nothing has this name. */
  stat(name: string): Promise<Stored | undefined>;
  /** Reads the bytes [from, to). */
  read(name: string, from: number, to: number): Promise<Buffer>;
  /** Reads a whole file in chunks. */
  stream(name: string): AsyncIterable<Uint8Array>;
  /** Names that match a pattern with wildcards, in any order. */
  list(pattern: string): AsyncIterable<string>;
  /** Opens a draft. Folders are created. @throws QalignError OUTPUT_UNWRITABLE, also from `commit` */
  draft(name: string): Promise<StoreDraft>;
  /** Writes a small text, and replaces what has this name. */
  replace(name: string, text: string): Promise<void>;
}

/** The stores of a run. Object storage is opened at the first name that needs it. */
export interface Stores {
  of(name: string): Promise<Store>;
  /**
   * Local media that rows name are read as the stores allow, and not by their path.
   * @default false
   */
  readonly guardsMedia?: boolean | undefined;
  close(): Promise<void>;
}

/** Settings of the stores of a run. */
export interface StoreOptions extends RetryOptions {
  readonly signal?: AbortSignal | undefined;
}

import { isUtf8 } from 'node:buffer';

/** A file whose name is not UTF-8: a string cannot hold such a path, and Node takes it as bytes. */
export interface BytePath {
  /** The bytes of the path. */
  readonly path: Uint8Array;
}

/** A path, or the bytes of the file. */
export type MediaInput = string | Uint8Array | BytePath;

/** Where the file lies, in the form that `node:fs` takes; undefined for bytes, which lie nowhere. */
export function pathOf(media: MediaInput): string | Buffer | undefined {
  if (typeof media === 'string') return media;
  return media instanceof Uint8Array ? undefined : Buffer.from(media.path);
}

/** A path as text: bytes that are not UTF-8 become U+FFFD. */
export function pathText(path: string | Buffer): string {
  return typeof path === 'string' ? path : path.toString('utf8');
}

/** The bytes of a path as a string, where a string can hold them. */
export function pathFrom(bytes: Buffer): string | Buffer {
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes;
}

/** A path as what is opened. */
export function mediaAt(path: string | Buffer): string | BytePath {
  return typeof path === 'string' ? path : { path };
}

/** The bytes of a name that is not UTF-8, in base64; undefined where the name is exact as text. */
export function exactName(media: MediaInput | undefined): string | undefined {
  return typeof media === 'object' && 'path' in media ? Buffer.from(media.path).toString('base64') : undefined;
}

/** What tells a changed file from the one that was scored. */
export interface MediaIdentity {
  /** Of the file. */
  readonly bytes: number;
  /** When it was last changed, ISO 8601 in UTC with nine digits of the second; only files have it. */
  readonly modified?: string | undefined;
  /** Of its bytes, hexadecimal; only where asked for. */
  readonly sha256?: string | undefined;
}

import { isUtf8 } from 'node:buffer';

/** A file whose name is not UTF-8. A string cannot hold such a path, so Node takes it as bytes. */
export interface BytePath {
  /** The bytes of the path. */
  readonly path: Uint8Array;
}

/** A path, or the bytes of the file. */
export type MediaInput = string | Uint8Array | BytePath;

/** The path in the form that `node:fs` takes. Undefined for bytes, which have no path. */
export function pathOf(media: MediaInput): string | Buffer | undefined {
  if (typeof media === 'string') return media;
  return media instanceof Uint8Array ? undefined : Buffer.from(media.path);
}

/** A path as text: bytes that are not UTF-8 become U+FFFD. */
export function pathText(path: string | Buffer): string {
  return typeof path === 'string' ? path : path.toString('utf8');
}

/** Returns the path as a string if its bytes are UTF-8, otherwise as bytes. */
export function pathFrom(bytes: Buffer): string | Buffer {
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes;
}

/** Converts a path to a media input. */
export function mediaAt(path: string | Buffer): string | BytePath {
  return typeof path === 'string' ? path : { path };
}

/** The bytes of a name that is not UTF-8, in base64. Undefined if the name is exact as text. */
export function exactName(media: MediaInput | undefined): string | undefined {
  return typeof media === 'object' && 'path' in media ? Buffer.from(media.path).toString('base64') : undefined;
}

/** Identifies the file that was scored, so that a later change can be detected. */
export interface MediaIdentity {
  /** Size of the file. */
  readonly bytes: number;
  /** Modification time, ISO 8601 in UTC with nine digits of the second. Only for files. */
  readonly modified?: string | undefined;
  /** SHA-256 of the bytes, hexadecimal. Only on request. */
  readonly sha256?: string | undefined;
}

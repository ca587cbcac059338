import type { ItemSource, ScoreFields } from '../api/score.js';
import type { ClientFile, ClientItem } from './interface.js';

/** A request body and its content type. Every body except a stream can be sent again. */
export interface Body {
  readonly content: string | Blob | ReadableStream<Uint8Array>;
  readonly type: string;
}

interface NamedFile {
  readonly blob: Blob;
  readonly name: string | undefined;
}

export const jsonBody = (value: object): Body => ({ content: JSON.stringify(value), type: 'application/json' });

/** A form if all items are bytes, otherwise JSON. In JSON, bytes are encoded as base64. */
export async function itemsBody(items: readonly ClientItem[], settings: ScoreFields): Promise<Body> {
  items.forEach(requireItem);
  const files = items.map(fileOf);
  if (items.length > 0 && files.every((file) => file !== undefined)) return formBody(files, settings);
  const sources: ItemSource[] = [];
  for (const [index, item] of items.entries()) {
    const file = files[index];
    sources.push(file === undefined ? (item as ItemSource) : await asBase64(file, index));
  }
  return jsonBody({ items: sources, ...settings });
}

/** A file as the body, with its own content type if that is an image or video type. */
export function fileBody(file: ClientFile | ReadableStream<Uint8Array>): Body & { readonly name: string | undefined } {
  if (file instanceof ReadableStream) return { content: file, type: 'application/octet-stream', name: undefined };
  const { blob, name } = named(file, undefined);
  return { content: blob, type: /^(image|video)\//.test(blob.type) ? blob.type : 'application/octet-stream', name };
}

/** Checks an item, for callers without TypeScript. @throws TypeError if it is neither bytes nor an object */
function requireItem(item: unknown, index: number): void {
  if (typeof item !== 'object' || item === null)
    throw new TypeError(
      `Item ${index + 1} is ${item === null ? 'null' : `a ${typeof item}`}; pass bytes, { data }, { path } or { url }.`,
    );
}

function fileOf(item: ClientItem): NamedFile | undefined {
  if (isFile(item)) return named(item, undefined);
  return 'data' in item ? named(item.data, item.name) : undefined;
}

const isFile = (item: ClientItem): item is ClientFile =>
  item instanceof Blob || item instanceof ArrayBuffer || ArrayBuffer.isView(item);

/** A file for the form. The default name is that of a `File`. */
function named(file: ClientFile, name: string | undefined): NamedFile {
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-assertion -- needed with the types of browsers
  const blob = file instanceof Blob ? file : new Blob([file as Uint8Array<ArrayBuffer>]);
  return { blob, name: name ?? (blob as { readonly name?: string }).name };
}

/** The form as one Blob: its size is known, it can be sent again, and nothing is copied. */
function formBody(files: readonly NamedFile[], settings: ScoreFields): Body {
  const boundary = `qalign-${randomHex()}`;
  const parts: (string | Blob)[] = [];
  for (const [key, value] of Object.entries<string | number | boolean | readonly string[] | undefined>({ ...settings }))
    if (value !== undefined)
      parts.push(`--${boundary}\r\nContent-Disposition: form-data; name="${quoted(key)}"\r\n\r\n${String(value)}\r\n`);
  files.forEach(({ blob, name }, index) => {
    const disposition = `form-data; name="file"; filename="${quoted(name ?? `item ${index + 1}`)}"`;
    const type = blob.type === '' ? 'application/octet-stream' : blob.type;
    parts.push(`--${boundary}\r\nContent-Disposition: ${disposition}\r\nContent-Type: ${type}\r\n\r\n`, blob, '\r\n');
  });
  return {
    content: new Blob([...parts, `--${boundary}--\r\n`]),
    type: `multipart/form-data; boundary=${boundary}`,
  };
}

/** Escapes a name as browsers do in forms. */
const quoted = (name: string): string => name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');

async function asBase64({ blob, name }: NamedFile, index: number): Promise<ItemSource> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = '';
  for (let start = 0; start < bytes.length; start += 0x8000)
    text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  return { id: name ?? `item ${index + 1}`, base64: btoa(text) };
}

/** 128 random bits; `crypto.randomUUID` is missing in pages without TLS. */
export const randomHex = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

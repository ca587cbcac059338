const PICTURES = 'jpe?g|png|gif|bmp|webp|tiff?|avif|heic|heif|pnm|ppm|pgm|pbm|jp2';
const CLIPS = 'mp4|mov|mkv|webm|avi|m4v|mpe?g|flv|ogv|mts|3gp|wmv';
/** For files whose type the browser does not know. */
const MEDIA_NAME = new RegExp(`\\.(${PICTURES}|${CLIPS}|ts)$`, 'i');
const CLIP_NAME = new RegExp(`\\.(${CLIPS})$`, 'i');

export const isMedia = (file: Pick<File, 'name' | 'type'>): boolean =>
  /^(image|video)\//.test(file.type) || MEDIA_NAME.test(file.name);

export const isClip = (file: Pick<File, 'name' | 'type'>): boolean =>
  file.type.startsWith('video/') || CLIP_NAME.test(file.name);

export interface Picked {
  readonly files: readonly File[];
  /** Number of files that are neither pictures nor clips. */
  readonly skipped: number;
}

export function pick(files: readonly File[]): Picked {
  const kept = files.filter(isMedia);
  return { files: kept, skipped: files.length - kept.length };
}

/** All files of a drop, with those in folders. */
export async function filesOfDrop(data: DataTransfer): Promise<File[]> {
  // Entries must be taken before the first await: the list is empty afterwards.
  const found = [...data.items]
    .filter(({ kind }) => kind === 'file')
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const lists = await Promise.all(
    found.map(async ({ entry, file }) =>
      entry?.isDirectory === true ? filesBelow(entry) : file === null ? [] : [file],
    ),
  );
  return lists.flat();
}

async function filesBelow(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile)
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    // A reader returns at most 100 entries at a time.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return files;
    for (const one of entries) files.push(...(await filesBelow(one)));
  }
}

/** Addresses and paths, one on each line; empty lines are ignored. */
export const sourcesOf = (text: string): { readonly url?: string; readonly path?: string }[] =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => (/^https?:\/\//i.test(line) ? { url: line } : { path: line }));

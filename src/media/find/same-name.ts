import { readdir, stat } from 'node:fs/promises';

const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text); // eslint-disable-line no-control-regex

/**
 * Returns the path of an existing file whose name looks the same. Unicode encodes an accent as one character or two
 * (NFC and NFD). Keyboards write one form, macOS and its archives the other, and most file systems treat them as
 * different names. The exact name wins, then a single name in another form. Otherwise the path is returned unchanged.
 */
export async function existingName(path: string): Promise<string> {
  if (isAscii(path) || (await exists(path))) return path;
  let found = path.startsWith('/') ? '/' : '';
  for (const part of path.split('/').filter((each) => each !== '')) {
    const exact = `${found}${part}`;
    const same = isAscii(part) || (await exists(exact)) ? part : await onlySame(found === '' ? '.' : found, part);
    if (same === undefined) return path;
    found = `${found}${same}/`;
  }
  return found.slice(0, -1);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Cache of the last folder, because a list of names from another system often repeats the same folder. */
let last: { folder: string; changed: bigint; names: ReadonlyMap<string, string[]> } | undefined;

async function onlySame(folder: string, name: string): Promise<string | undefined> {
  try {
    const { mtimeNs: changed } = await stat(folder, { bigint: true });
    const names = last?.folder === folder && last.changed === changed ? last.names : byForm(await readdir(folder));
    last = { folder, changed, names };
    const same = names.get(name.normalize('NFC')) ?? [];
    return same.length === 1 ? same[0] : undefined;
  } catch {
    return undefined; // opening the path reports the error
  }
}

function byForm(names: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of names) {
    if (isAscii(name)) continue;
    const key = name.normalize('NFC');
    found.set(key, [...(found.get(key) ?? []), name]);
  }
  return found;
}

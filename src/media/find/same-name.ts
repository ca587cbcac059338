import { readdir, stat } from 'node:fs/promises';

const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text); // eslint-disable-line no-control-regex

/**
 * The path of the file that people see under this name. An accent is one character or two (Unicode NFC and NFD):
 * keyboards write one form, macOS and its archives the other, and most file systems take them for different names. The
 * exact name comes first, then the only one that differs in its form; without either the path comes back as it is.
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

/** The last folder, as it was: a list of names from another system asks for one folder again and again. */
let last: { folder: string; changed: bigint; names: ReadonlyMap<string, string[]> } | undefined;

async function onlySame(folder: string, name: string): Promise<string | undefined> {
  try {
    const { mtimeNs: changed } = await stat(folder, { bigint: true });
    const names = last?.folder === folder && last.changed === changed ? last.names : byForm(await readdir(folder));
    last = { folder, changed, names };
    const same = names.get(name.normalize('NFC')) ?? [];
    return same.length === 1 ? same[0] : undefined;
  } catch {
    return undefined; // opening the path says what is wrong
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

import { homedir, tmpdir } from 'node:os';
import { resolve } from 'node:path';

/** An absolute path in running text: neither the end of a tag, nor a URL, nor a fraction such as SRCC/PLCC. */
const ABSOLUTE = /(?<![\w./<)\]~-])(?:file:\/\/)?\/(?:[^\s/"'<>&;,:()|]+\/)+[^\s/"'<>&;,:()|]*/g;
/** A relative path that climbs out of where it begins and down again tells the same. */
const CLIMBING = /(?<![\w/])(?:\.\.\/){3,}(?:[^\s/"'<>&;,:()|]+\/)*/g;
const WINDOWS = /(?<![\w/])[A-Za-z]:\\(?:[^\s\\"'<>&;,:()|]+\\)*([^\s\\"'<>&;,:()|]*)/g;

/**
 * Text in which no absolute path is left: a path below one of `roots` is shown relative to it, others by their last
 * part. Pages are shared, and folders tell names of people and machines.
 * @param roots absolute folders, also with spaces, in the order in which they are tried; the working directory, the
 * home and the temporary folder follow
 */
export function withoutFolders(text: string, roots: readonly string[] = []): string {
  const known = [...roots, process.cwd(), homedir(), tmpdir()]
    .map((root) => resolve(root))
    .filter((root) => root !== '/');
  const relative = known.reduce(
    (shown, root) =>
      shown.replaceAll(new RegExp(`(?<![\\w.-])${escapeRegExp(root)}(/|(?![\\w.-]))`, 'g'), (_, slash) =>
        slash === '/' ? '' : '.',
      ),
    text,
  );
  return relative
    .replaceAll(CLIMBING, '')
    .replaceAll(ABSOLUTE, (path) => lastPart(path))
    .replaceAll(WINDOWS, (_, last: string) => last);
}

function lastPart(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  return `${parts.at(-1) ?? ''}${path.endsWith('/') ? '/' : ''}`;
}

const escapeRegExp = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A command line as a person would type it: words with blanks are quoted, absolute paths are shortened. */
export function shownCommand(words: readonly string[]): string {
  return words
    .map((word) => shownWord(word))
    .map((word) => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}

/** `/a/b c/d`, `--out=/a/b` and `root=/a/b` are paths to their end, whatever stands in them. */
function shownWord(word: string): string {
  const [, head = '', path] = /^([^/\\]*=)?((?:file:\/\/)?\/.*)$/s.exec(word) ?? [];
  if (path === undefined) return withoutFolders(word);
  const inside = `${process.cwd()}/`;
  return head + (path.startsWith(inside) ? path.slice(inside.length) : path === process.cwd() ? '.' : lastPart(path));
}

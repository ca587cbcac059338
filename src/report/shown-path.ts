import { homedir, tmpdir } from 'node:os';
import { resolve } from 'node:path';

/** An absolute path in a text, but not the end of a tag, a URL or a fraction such as SRCC/PLCC. */
const ABSOLUTE = /(?<![\w./<)\]~-])(?:file:\/\/)?\/(?:[^\s/"'<>&;,:()|]+\/)+[^\s/"'<>&;,:()|]*/g;
/** A relative path that leads up three or more folders also reveals folder names. */
const CLIMBING = /(?<![\w/])(?:\.\.\/){3,}(?:[^\s/"'<>&;,:()|]+\/)*/g;
const WINDOWS = /(?<![\w/])[A-Za-z]:\\(?:[^\s\\"'<>&;,:()|]+\\)*([^\s\\"'<>&;,:()|]*)/g;

/**
 * Removes absolute paths from a text, because pages are shared and folders can reveal names of people and machines.
 * A path below one of `roots` is shown relative to it, any other path by its last part.
 * @param roots absolute folders, which can contain spaces, tried in order; then the working directory, the home folder
 * and the temporary folder are tried
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

/** A command line as a person would type it. Words with spaces are quoted, and absolute paths are shortened. */
export function shownCommand(words: readonly string[]): string {
  return words
    .map((word) => shownWord(word))
    .map((word) => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}

/** Shortens a word. `/a/b c/d`, `--out=/a/b` and `root=/a/b` are read as paths to their end, also with spaces. */
function shownWord(word: string): string {
  const [, head = '', path] = /^([^/\\]*=)?((?:file:\/\/)?\/.*)$/s.exec(word) ?? [];
  if (path === undefined) return withoutFolders(word);
  const inside = `${process.cwd()}/`;
  return head + (path.startsWith(inside) ? path.slice(inside.length) : path === process.cwd() ? '.' : lastPart(path));
}

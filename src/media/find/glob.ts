import { realpath, stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { pathText } from '../media-input.js';
import { folderEntries } from './folder-entries.js';
import { globMatcher, isGlob, literalsEscaped } from './glob-pattern.js';
import { failedSource, type ExpandOptions, type MediaSource } from './media-source.js';
import { createNameFilter, type NameFilter } from './name-filter.js';
import { lookThrough, type Found } from './search.js';

/**
 * The files that a pattern names, in the order of their names, whatever they contain. `*` and `**` match no name that
 * begins with a dot. Links to folders are followed. A pattern that names nothing is an error of its own: a silent
 * nothing would look like success.
 */
export async function* expandGlob(
  pattern: string,
  options: ExpandOptions,
): AsyncGenerator<MediaSource, void, undefined> {
  let isEmpty = true;
  let passed = 0;
  const onPassedOver: ExpandOptions['onPassedOver'] = (one) => {
    passed++;
    options.onPassedOver?.(one);
  };
  for await (const source of lookThrough(walkGlob(pattern, options), false, { ...options, onPassedOver })) {
    isEmpty = false;
    yield source;
  }
  if (!isEmpty) return;
  if (passed > 0) options.onEmptyFolder?.(pattern);
  else yield failedSource(pattern, new QalignError('MEDIA_NOT_FOUND', `No file matches ${pattern}.`));
}

interface Plan {
  readonly filter: NameFilter;
  readonly options: ExpandOptions;
  /** A test of the path from the base, with and without names that begin with a dot. */
  readonly matches: (path: string) => boolean;
  readonly matchesHidden: (path: string) => boolean;
  /** For the folders of each depth, as far as the pattern has one part for each. */
  readonly folders: readonly ((name: string) => boolean)[];
  /** Folders deeper than that may match. */
  readonly isDeep: boolean;
  readonly wantsHiddenFolders: boolean;
  /** The real base folder, and the real folders that links led to. */
  readonly base: string;
  readonly linked: Set<string>;
}

async function* walkGlob(pattern: string, options: ExpandOptions): AsyncGenerator<Found, void, undefined> {
  const parts = literalsEscaped(pattern).split('/');
  const first = parts.findIndex((part) => isGlob(part) || !isBalanced(part));
  const base = unescaped(parts.slice(0, Math.max(0, first)).join('/')) || (pattern.startsWith('/') ? '/' : '.');
  const real = await realpath(base).catch(() => undefined);
  if (real === undefined) return; // nothing matches
  const rest = parts.slice(Math.max(0, first));
  // a wildcard or a pair of braces may hold several parts: from there on every folder is looked into
  const deepAt = rest.findIndex((part) => part === '**' || !isBalanced(part));
  const levels = deepAt < 0 ? rest.slice(0, -1) : rest.slice(0, deepAt);
  yield* walk(base, [], false, {
    filter: createNameFilter(options.include, options.exclude),
    options,
    matches: globMatcher(rest.join('/'), { dot: options.hidden === true }),
    matchesHidden: globMatcher(rest.join('/'), { dot: true }),
    folders: levels.map((part) => globMatcher(part, { dot: true })),
    isDeep: deepAt >= 0,
    wantsHiddenFolders: options.hidden === true || rest.some((part) => /(^|[{,(|])\\?\./.test(part)),
    base: real,
    linked: new Set(),
  });
}

const unescaped = (path: string): string => path.replace(/\\(.)/g, '$1');

/** Whether braces and parentheses that open in a part close in it. */
function isBalanced(part: string): boolean {
  const count = (characters: RegExp): number => part.match(characters)?.length ?? 0;
  return count(/(?<!\\)[{(]/g) === count(/(?<!\\)[})]/g);
}

/**
 * @param above names of the folders from the base to `folder`
 * @param isLinked a link leads to it or to a folder above
 */
async function* walk(
  folder: string | Buffer,
  above: readonly string[],
  isLinked: boolean,
  plan: Plan,
): AsyncGenerator<Found, void, undefined> {
  const { options, filter } = plan;
  const entries = await folderEntries(folder, options.signal).catch((error: unknown) => {
    if (error instanceof QalignError) return error;
    throw error;
  });
  if (entries instanceof QalignError) {
    yield { path: folder, error: entries };
    return;
  }
  const real = isLinked ? await realpath(folder).catch(() => undefined) : undefined;
  for (const { name, path, type, isHidden } of entries) {
    options.signal?.throwIfAborted();
    const inner = [...above, name].join('/');
    const isFolder = type === 'folder' || (type === 'link' && (await isDirectory(path)));
    if (isFolder) {
      const level = plan.folders[above.length];
      if (level === undefined ? !plan.isDeep : !level(name)) continue;
      if (isHidden && !plan.wantsHiddenFolders) yield { path, passed: 'hidden' };
      else if (filter.excludesFolder(inner)) yield { path, passed: 'excluded' };
      else if (type === 'link' && !(await isNewTarget(path, plan))) yield { path, passed: 'linked-folder' };
      else yield* walk(path, [...above, name], isLinked || type === 'link', plan);
    } else if (!plan.matches(inner)) {
      if (plan.matchesHidden(inner)) yield { path, passed: 'hidden' };
    } else if (filter.excludesFile(inner)) yield { path, passed: 'excluded' };
    else if (type === 'special') yield { path, passed: 'special-file' };
    // a link that leads back into the searched folder gives a file again that has its own place there
    else if (real === undefined || !isFoundInPlace(`${real}/${name}`, plan)) yield { path, isLink: type === 'link' };
  }
}

/** Whether the pattern names a real path itself. */
function isFoundInPlace(path: string, { base, matches }: Plan): boolean {
  const place = relative(base, path).split(sep).join('/');
  return place !== '..' && !place.startsWith('../') && matches(place);
}

/** Every folder is gone into through links once: they may lead round in a circle. */
async function isNewTarget(link: string | Buffer, { linked }: Plan): Promise<boolean> {
  const target = await realpath(link, 'buffer').catch(() => undefined);
  const key = target?.toString('latin1') ?? pathText(link);
  if (linked.has(key)) return false;
  linked.add(key);
  return true;
}

const isDirectory = (path: string | Buffer): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

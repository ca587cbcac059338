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
 * Returns the files that a pattern matches, in the order of their names, independent of their content. `*` and `**` do
 * not match names that begin with a dot. Links to folders are followed. A pattern without a match is an error, because
 * an empty result would look like success.
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
  else
    yield failedSource(pattern, new QalignError('MEDIA_NOT_FOUND', `No file matches ${pattern}; check the pattern.`));
}

/**
 * Returns the regular files that a pattern matches, whatever their content, in the order of their names. Names that
 * begin with a dot need a pattern that does. @throws QalignError MEDIA_UNREADABLE for a folder that cannot be read
 */
export async function* filesMatching(pattern: string, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
  for await (const found of walkGlob(pattern, { signal })) {
    if ('error' in found) throw found.error;
    if (!('passed' in found)) yield pathText(found.path);
  }
}

interface Plan {
  readonly filter: NameFilter;
  readonly options: ExpandOptions;
  /** Tests a path relative to the base, without and with names that begin with a dot. */
  readonly matches: (path: string) => boolean;
  readonly matchesHidden: (path: string) => boolean;
  /** Tests of folder names by depth, up to the first part of the pattern that can match several levels. */
  readonly folders: readonly ((name: string) => boolean)[];
  /** Deeper folders can match too. */
  readonly isDeep: boolean;
  readonly wantsHiddenFolders: boolean;
  /** The real path of the base folder, and the real paths of linked folders. */
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
  // `**` or braces can match several path parts, so every folder below is searched
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

/** Returns true if all braces and parentheses that open in a part also close in it. */
function isBalanced(part: string): boolean {
  const count = (characters: RegExp): number => part.match(characters)?.length ?? 0;
  return count(/(?<!\\)[{(]/g) === count(/(?<!\\)[})]/g);
}

/**
 * @param above names of the folders from the base to `folder`
 * @param isLinked true if `folder` was reached through a link
 */
async function* walk(
  folder: string | Buffer,
  above: readonly string[],
  isLinked: boolean,
  plan: Plan,
): AsyncGenerator<Found, void, undefined> {
  const { options, filter } = plan;
  const entries = await folderEntries(folder, options.signal);
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
    // a link back into the searched folder can list a file twice, so the linked copy is skipped
    else if (real === undefined || !isFoundInPlace(`${real}/${name}`, plan)) yield { path, isLink: type === 'link' };
  }
}

/** Returns true if the pattern also matches the real path. */
function isFoundInPlace(path: string, { base, matches }: Plan): boolean {
  const place = relative(base, path).split(sep).join('/');
  return place !== '..' && !place.startsWith('../') && matches(place);
}

/** Enters each folder only once through links, because they can form a loop. */
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

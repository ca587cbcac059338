import { globMatcher } from './glob-pattern.js';

/** Filters the results of a search. Patterns and names are compared in the same Unicode form. */
export interface NameFilter {
  /** @param path relative to the searched folder, with `/` as separator */
  excludesFolder(path: string): boolean;
  excludesFile(path: string): boolean;
}

/** Creates a filter from `include` and `exclude` of ExpandOptions. */
export function createNameFilter(include: readonly string[] = [], exclude: readonly string[] = []): NameFilter {
  const included = matcherOf(include.map((pattern) => pattern.replace(/\/$/, '/**')));
  const excludedFolder = matcherOf(exclude.map((pattern) => pattern.replace(/\/$/, '')));
  const excludedFile = matcherOf(exclude.filter((pattern) => !pattern.endsWith('/')));
  return {
    excludesFolder: (path) => exclude.length > 0 && excludedFolder(path),
    excludesFile: (path) => (include.length > 0 && !included(path)) || (exclude.length > 0 && excludedFile(path)),
  };
}

function matcherOf(patterns: readonly string[]): (path: string) => boolean {
  const tests = patterns.map((pattern) => {
    const matches = globMatcher(pattern.replace(/^\//, ''), { dot: true });
    return pattern.includes('/') ? matches : (path: string) => matches(path.slice(path.lastIndexOf('/') + 1));
  });
  return (path) => tests.some((matches) => matches(path));
}

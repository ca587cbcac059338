import { isGlob } from '../../media/find/glob-pattern.js';
import { expandBraces } from './braces.js';

/**
 * The folders of a pattern before its first wildcard or brace, with a slash at the end; empty without one. It depends
 * on the pattern only, and not on the files that are there.
 */
export function fixedFolder(pattern: string): string {
  const parts = pattern.split('/').slice(0, -1);
  const names = expandBraces(pattern);
  const isLiteral = names.length === 1 && names[0] === pattern && !isGlob(pattern);
  const first = isLiteral ? -1 : parts.findIndex((part) => isGlob(part) || /[{(]/.test(part));
  const fixed = first < 0 ? parts : parts.slice(0, first);
  const folder = fixed.map((part) => `${part}/`).join('');
  return isLiteral ? folder : folder.replaceAll(/\\(.)/g, '$1');
}

import picomatch from 'picomatch';

/** Compiles a bash glob (`*`, `**`, `?`, `[…]`, `[!…]`, `{a,b}`, `!(…)`) to a test of paths in any Unicode form. */
export function globMatcher(pattern: string, { dot }: { readonly dot: boolean }): (path: string) => boolean {
  if (pattern === '') return () => false;
  // `s`: a name can contain a line break
  const matches = picomatch(literalsEscaped(pattern.normalize('NFC')), {
    dot,
    nonegate: true,
    posix: true,
    flags: 's',
  });
  return (path) => matches(path.normalize('NFC'));
}

/** Returns true if the pattern contains a wildcard. */
export function isGlob(pattern: string): boolean {
  const { isGlob: has, negated } = picomatch.scan(literalsEscaped(pattern));
  return has || negated;
}

/** Characters with a meaning in picomatch but not in bash. */
const LITERAL = '"^$+';

/**
 * Escapes characters that bash takes literally: "photo (1).jpg" contains no wildcard. An escaped pattern is returned
 * unchanged.
 */
export function literalsEscaped(pattern: string): string {
  const groups = groupEnds(pattern);
  let text = '';
  let inside = 0;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    const end = groups.get(at);
    if (character === '\\' || character === '[') {
      const last = character === '\\' ? at + 1 : classEnd(pattern, at);
      text += last === undefined ? '\\[' : pattern.slice(at, last + 1);
      at = last ?? at;
    } else if (character === '(' || character === ')') {
      const isGroup = end !== undefined;
      if (isGroup) inside += character === '(' ? 1 : -1;
      text += isGroup ? character : `\\${character}`;
    } else if (LITERAL.includes(character) && (groups.get(at + 1) ?? 0) <= at) text += `\\${character}`;
    else if (character === '|' && inside === 0) text += '\\|';
    else text += character;
  }
  return text;
}

/**
 * Maps the position of each parenthesis of `?(…)`, `*(…)`, `+(…)`, `@(…)` and `!(…)` to the position of its partner.
 */
function groupEnds(pattern: string): ReadonlyMap<number, number> {
  const ends = new Map<number, number>();
  const open: { readonly at: number; readonly isGroup: boolean }[] = [];
  let isEscaped = false;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    const isPrefixed = !isEscaped && at > 0 && '?*+@!'.includes(pattern.charAt(at - 1));
    isEscaped = character === '\\';
    if (isEscaped) at++;
    else if (character === '[') at = classEnd(pattern, at) ?? at;
    else if (character === '(') open.push({ at, isGroup: isPrefixed });
    else if (character === ')') {
      const start = open.pop();
      if (start?.isGroup === true) ends.set(start.at, at).set(at, start.at);
    }
  }
  return ends;
}

/** Returns the position of the `]` that ends the class starting at `from`. Undefined for a literal bracket. */
function classEnd(pattern: string, from: number): number | undefined {
  const found = /^\[[!^]?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\/])*\]/s.exec(pattern.slice(from));
  return found === null ? undefined : from + found[0].length - 1;
}

import picomatch from 'picomatch';

/** A glob of bash (`*`, `**`, `?`, `[…]`, `[!…]`, `{a,b}`, `!(…)`) → a test of paths, whatever their Unicode form. */
export function globMatcher(pattern: string, { dot }: { readonly dot: boolean }): (path: string) => boolean {
  if (pattern === '') return () => false;
  // `s`: a name may hold a line break
  const matches = picomatch(literalsEscaped(pattern.normalize('NFC')), {
    dot,
    nonegate: true,
    posix: true,
    flags: 's',
  });
  return (path) => matches(path.normalize('NFC'));
}

/** Whether it has a wildcard. */
export function isGlob(pattern: string): boolean {
  const { isGlob: has, negated } = picomatch.scan(literalsEscaped(pattern));
  return has || negated;
}

/** Characters that mean something to picomatch and nothing to bash. */
const LITERAL = '"^$+';

/**
 * A pattern with a backslash before what bash takes as it stands: in "photo (1).jpg" nothing is a wildcard. A pattern
 * that was escaped comes back the same.
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

/** Places of the parentheses of `?(…)`, `*(…)`, `+(…)`, `@(…)` and `!(…)`: each with the place of the other. */
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

/** The place of the `]` that ends the class which begins at `from`; none for a bracket that stands for itself. */
function classEnd(pattern: string, from: number): number | undefined {
  const found = /^\[[!^]?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\/])*\]/s.exec(pattern.slice(from));
  return found === null ? undefined : from + found[0].length - 1;
}

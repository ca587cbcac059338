import { describe, expect, it } from 'vitest';
import {
  coloured,
  paintLevel,
  plain,
  wantsColour,
  withCodes,
  withoutStyles,
  type ColourChoice,
} from '../../../src/cli/terminal/colour.js';

describe('wantsColour', () => {
  it.each<[string, boolean, Record<string, string>, boolean, ColourChoice?]>([
    ['a terminal', true, {}, true],
    ['no terminal', false, {}, false],
    ['NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['NO_COLOR of any value', true, { NO_COLOR: '0' }, false],
    ['an empty NO_COLOR', true, { NO_COLOR: '' }, true],
    ['FORCE_COLOR', false, { FORCE_COLOR: '1' }, true],
    ['FORCE_COLOR above NO_COLOR, as in Node', true, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
    ['FORCE_COLOR=0', true, { FORCE_COLOR: '0' }, false],
    ['an empty FORCE_COLOR', false, { FORCE_COLOR: '' }, false],
    ['CLICOLOR_FORCE', false, { CLICOLOR_FORCE: '1' }, true],
    ['CLICOLOR_FORCE=0', false, { CLICOLOR_FORCE: '0' }, false],
    ['CLICOLOR_FORCE under NO_COLOR', true, { CLICOLOR_FORCE: '1', NO_COLOR: '1' }, false],
    ['CLICOLOR=0', true, { CLICOLOR: '0' }, false],
    ['CLICOLOR=1', true, { CLICOLOR: '1' }, true],
    ['CLICOLOR=1 and no terminal', false, { CLICOLOR: '1' }, false],
    ['TERM=dumb', true, { TERM: 'dumb' }, false],
    ['--color always', false, { NO_COLOR: '1', TERM: 'dumb' }, true, 'always'],
    ['--color never', true, { FORCE_COLOR: '1' }, false, 'never'],
    ['--color auto', true, {}, true, 'auto'],
  ])('%s', (_, isTerminal, env, wanted, choice) => expect(wantsColour(isTerminal, env, choice)).toBe(wanted));
});

describe('styles', () => {
  it('become escape sequences only on output, and nothing without colours', () => {
    expect(coloured('red', 'error')).not.toContain('\u001b');
    expect(withCodes(coloured('red', 'error'))).toBe('\u001b[31merror\u001b[0m');
    expect(withoutStyles(`a ${coloured('excellent', 'b')} c`)).toBe('a b c');
    expect([plain('red', 'error'), coloured('red', '')]).toEqual(['error', '']);
  });

  it('of levels are those of the five words', () => {
    expect(withCodes(paintLevel(coloured, 'bad', 'bad  '))).toBe('\u001b[1;31mbad  \u001b[0m');
    expect(paintLevel(coloured, 'lovely')).toBe('lovely');
  });
});

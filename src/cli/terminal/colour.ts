import { randomInt } from 'node:crypto';

/** Only those of the 16 colours that are readable on dark and light backgrounds. */
const CODES = {
  bold: '1',
  dim: '2',
  red: '31',
  green: '32',
  yellow: '33',
  excellent: '1;32',
  good: '32',
  fair: '33',
  poor: '31',
  bad: '1;31',
} as const;

export type Style = keyof typeof CODES;

/** A text in a style. Words carry the meaning; a style only repeats it. */
export type Paint = (style: Style, text: string) => string;

export const COLOUR_CHOICES = ['auto', 'always', 'never'] as const;
export type ColourChoice = (typeof COLOUR_CHOICES)[number];

/**
 * Whether text for a stream is coloured. `choice` is the value of `--color`. `auto` checks in this order:
 * FORCE_COLOR, NO_COLOR, CLICOLOR_FORCE, CLICOLOR, TERM=dumb, and whether the stream is a terminal. FORCE_COLOR
 * precedes NO_COLOR, as in Node.
 */
export function wantsColour(
  isTerminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
  choice: ColourChoice = 'auto',
): boolean {
  if (choice !== 'auto') return choice === 'always';
  const isSet = (name: string): boolean => (env[name] ?? '') !== '';
  const isOff = (name: string): boolean => /^(0|false)$/i.test(env[name] ?? '');
  if (isSet('FORCE_COLOR')) return !isOff('FORCE_COLOR');
  if (isSet('NO_COLOR')) return false;
  if (isSet('CLICOLOR_FORCE') && !isOff('CLICOLOR_FORCE')) return true;
  if (isOff('CLICOLOR') || env['TERM'] === 'dumb') return false;
  return isTerminal;
}

/**
 * Replaces the start of an escape sequence until text is written. The terminal shows control characters instead of
 * executing them, so that names cannot colour text. The mark is random, so that no name can contain it.
 */
const MARK = String.fromCharCode(0xfdd0, ...Array.from({ length: 5 }, () => randomInt(0xe000, 0xf8ff)));
const STYLE = new RegExp(`${MARK}[\\d;]+m`, 'g');

export const plain: Paint = (_, text) => text;
export const coloured: Paint = (style, text) => (text === '' ? '' : `${MARK}${CODES[style]}m${text}${MARK}0m`);

/** Replaces the marks of `coloured` with escape sequences. */
export const withCodes = (text: string): string => text.replaceAll(MARK, '\u001b[');

/** Removes the styles of `coloured`. */
export const withoutStyles = (text: string): string => (text.includes(MARK) ? text.replace(STYLE, '') : text);

/** A rating level in its colour; any other word unchanged. */
export function paintLevel(paint: Paint, level: string, text = level): string {
  return /^(excellent|good|fair|poor|bad)$/.test(level) ? paint(level as Style, text) : text;
}

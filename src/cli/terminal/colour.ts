import { randomInt } from 'node:crypto';

/** Of the 16 colours only those that can be read on dark and on light backgrounds. */
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
 * Whether text for a stream is coloured. `choice` is `--color`; `auto` asks, in this order: FORCE_COLOR (which Node
 * sets above NO_COLOR, too), NO_COLOR, CLICOLOR_FORCE, CLICOLOR, TERM=dumb, and whether that stream is a terminal.
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
 * Stands for the beginning of an escape sequence until text is written: the terminal shows every control character of a
 * text, so that names cannot colour it. Random, so that no name can hold it.
 */
const MARK = String.fromCharCode(0xfdd0, ...Array.from({ length: 5 }, () => randomInt(0xe000, 0xf8ff)));
const STYLE = new RegExp(`${MARK}[\\d;]+m`, 'g');

export const plain: Paint = (_, text) => text;
export const coloured: Paint = (style, text) => (text === '' ? '' : `${MARK}${CODES[style]}m${text}${MARK}0m`);

/** What `coloured` made, as a terminal reads it. */
export const withCodes = (text: string): string => text.replaceAll(MARK, '\u001b[');

/** What `coloured` made, as a person reads it. */
export const withoutStyles = (text: string): string => (text.includes(MARK) ? text.replace(STYLE, '') : text);

/** A rating level in its colour; another word as it is. */
export function paintLevel(paint: Paint, level: string, text = level): string {
  return /^(excellent|good|fair|poor|bad)$/.test(level) ? paint(level as Style, text) : text;
}

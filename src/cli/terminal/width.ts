import { withoutStyles } from './colour.js';

/** Characters without width: combining marks, joiners and selectors. A soft hyphen takes one cell. */
const NO_CELL = /^(?!\u00ad)[\p{Mn}\p{Me}\p{Cf}\u1160-\u11ff]$/u;
/** Characters of two cells: East Asian characters by Unicode block, and emoji shown as pictures. */
const TWO_CELLS =
  /^(?:(?![\u{1f1e6}-\u{1f1ff}])\p{Emoji_Presentation}|[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1aff0}-\u{1b2ff}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}])$/u;
// eslint-disable-next-line no-control-regex
const ASCII = /^[\u0000-\u007f]*$/;

/** The width of a text in terminal cells. Styles take no cells. */
export function widthOf(text: string): number {
  const bare = withoutStyles(text);
  if (ASCII.test(bare)) return bare.length;
  let width = 0;
  for (const character of bare) width += cellsOf(character);
  return width;
}

const cellsOf = (character: string): number => (NO_CELL.test(character) ? 0 : TWO_CELLS.test(character) ? 2 : 1);

export const padEnd = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - widthOf(text)));
export const padStart = (text: string, width: number): string => ' '.repeat(Math.max(0, width - widthOf(text))) + text;

/** The longest prefix of a text without styles that fits in `width` cells. */
export function startOf(text: string, width: number): string {
  let [end, used] = [0, 0];
  for (const character of text) {
    used += cellsOf(character);
    if (used > width) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/** Cuts the end of a text without styles to fit in `width` cells, and marks the cut with `…`. */
export function cutEnd(text: string, width: number): string {
  return widthOf(text) <= width ? text : `${startOf(text, Math.max(0, width - 1))}…`;
}

/** Like `cutEnd`, but cuts the start, because the end of a path is more informative. */
export function cutStart(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  const characters = [...text];
  let [from, used] = [characters.length, 1];
  while (from > 0 && used + cellsOf(characters[from - 1]!) <= width) used += cellsOf(characters[(from -= 1)]!);
  while (from < characters.length && NO_CELL.test(characters[from]!)) from += 1; // its character was cut
  return `…${characters.slice(from).join('')}`;
}

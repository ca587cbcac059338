import { cutEnd, widthOf } from './width.js';

/** A bar of `width` cells. @param share completed share, 0 to 1 */
export function bar(share: number, width: number): string {
  return '█'.repeat(Math.round(share * width)).padEnd(width, '░');
}

const SHORTEST_BAR = 6;
const TAIL = /[ :]*\S*\d\S*(?: %)?$/;

/**
 * Fits a progress line into `width` cells. Shortens or removes the bar, then removes middle parts from last to first.
 * Keeps the final number whole unless it takes more than half of the width.
 */
export function fitProgress(line: string, width: number): string {
  const over = widthOf(line) - width;
  if (over <= 0) return line;
  const [cells = ''] = /[█░]+/.exec(line) ?? [];
  if (cells.length - over >= SHORTEST_BAR) {
    const share = [...cells].filter((cell) => cell === '█').length / cells.length;
    return line.replace(cells, bar(share, cells.length - over));
  }
  const parts = line.replace(/[█░]+ /, '').split(', ');
  while (parts.length > 1 && widthOf(parts.join(', ')) > width) parts.splice(Math.max(1, parts.length - 2), 1);
  const [tail = ''] = TAIL.exec(parts.join(', ')) ?? [];
  const head = parts.join(', ').slice(0, -tail.length || undefined);
  return widthOf(tail) > width / 2 ? cutEnd(head + tail, width) : `${cutEnd(head, width - widthOf(tail))}${tail}`;
}

import { startOf, widthOf } from './width.js';

/** Wraps words into lines of at most `room` cells, but at least one character. Splits longer words. */
export function wrap(text: string, room: number): string[] {
  const width = Math.max(1, room); // margins can be wider than the terminal
  const lines: string[] = [];
  let line = '';
  for (let word of text.split(' ')) {
    if (line !== '' && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
    for (; widthOf(line) > width; line = word) {
      const start = startOf(line, width) || [...line][0]!;
      lines.push(start);
      word = line.slice(start.length);
    }
  }
  return [...lines, line];
}

/** Wraps a line and keeps its indent. A command line (`  qalign …`) gets backslashes, so that it can be copied. */
export function foldLine(line: string, width: number): string[] {
  if (widthOf(line) <= width) return [line];
  const [indent = ''] = /^ */.exec(line) ?? [];
  const isCommand = /^ +(qalign|curl|npx|pip|python) /.test(line);
  const texts = wrap(line.slice(indent.length), width - indent.length - (isCommand ? 4 : 0));
  if (!isCommand) return texts.map((text) => indent + text);
  return texts.map((text, at) => `${indent}${at === 0 ? '' : '  '}${text}${at < texts.length - 1 ? ' \\' : ''}`);
}

/** Wraps text of several lines between words. A longer word stays whole, so that a path can be copied. */
export function foldWords(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => (widthOf(line) <= width ? line : wrapWords(line, width).join('\n')))
    .join('\n');
}

function wrapWords(line: string, width: number): string[] {
  const lines: string[] = [];
  let current: string | undefined;
  for (const word of line.split(' ')) {
    const longer: string = current === undefined ? word : `${current} ${word}`;
    if (current === undefined || widthOf(longer) <= width) current = longer;
    else {
      lines.push(current);
      current = word;
    }
  }
  return [...lines, current ?? ''];
}

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../src/base/package-root.js';

/** Documents that people read; those of docs/reference are generated. */
const DOCUMENTS = [
  ...readdirSync(packageRoot).filter((name) => name.endsWith('.md')),
  ...['docs', 'configs', 'bridge', 'deploy']
    .flatMap((folder) =>
      readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
    )
    .filter((path) => path.endsWith('.md') && !path.startsWith('docs/reference/')),
].sort();
const LONGEST = 25;

/** Turns that read translated; each has a plain form. */
const TICS =
  /\b(go(es)? on|lets? go|said so|so often|settles?|lies? over|at hand|held aside|(is|are) none of|is no (page|file|folder|range)|for (it|they) (is|are)|is told|are told|mends?|mended|whatever it|to the letter|on one ruler|by itself|at will|anew|thereof|wherein|nobody)\b/i;

/** Paragraphs, list items, headings and cells of tables, without code blocks. */
function units(text: string): string[] {
  const found: string[] = [];
  let paragraph: string[] = [];
  const end = (): void => {
    if (paragraph.length > 0) found.push(paragraph.join(' '));
    paragraph = [];
  };
  for (const line of text
    .replaceAll(/^ *```[^]*?^ *```/gm, '')
    .split('\n')
    .map((each) => each.trim())) {
    const item = /^(?:[-*]|\d+\.|#+) (.*)$/.exec(line)?.[1];
    const isWhole = line.startsWith('#');
    if (line.startsWith('|')) {
      end();
      found.push(...line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
    } else if (line === '' || item !== undefined) {
      end();
      if (item !== undefined) paragraph.push(item);
      if (isWhole) end();
    } else paragraph.push(line);
  }
  end();
  return found;
}

/** Code counts as one word, and so does a link by each word of its text. */
export function sentences(text: string): string[] {
  return units(text).flatMap((unit) =>
    unit
      .replaceAll(/`[^`]*`/g, 'CODE')
      .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
      .split(/(?<=[.!?:]["”)*]*)\s+/),
  );
}

const countOf = (sentence: string): number => sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;

describe('documents in plain English', () => {
  it.each(DOCUMENTS)('%s: at most 25 words a sentence', (file) => {
    const text = readFileSync(join(packageRoot, file), 'utf8');
    expect(sentences(text).filter((sentence) => countOf(sentence) > LONGEST)).toEqual([]);
  });

  it.each(DOCUMENTS)('%s: no turns that read translated', (file) => {
    const text = readFileSync(join(packageRoot, file), 'utf8');
    expect(sentences(text).filter((sentence) => TICS.test(sentence))).toEqual([]);
  });

  it('are counted by sentence, item and cell', () => {
    expect(sentences('# Head\ntext\n- one two. Three `a b` [four five](x)\nsix\n\n| a | b c |\n')).toEqual([
      'Head',
      'text',
      'one two.',
      'Three CODE four five six',
      '',
      'a',
      'b c',
      '',
    ]);
  });
});

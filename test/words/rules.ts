import type { Text } from './texts.js';

/** Of a sentence. */
export const MOST_WORDS = 25;

/** Turns that read translated, archaic or like a riddle, and what to write. */
const TURNS: readonly (readonly [RegExp, string])[] = [
  [/\bgo(?:es|ing)? on\b(?! the| a\b)/i, 'continue'],
  [/\blet(?:s|ting)? go(?: of)?\b/i, 'release, delete'],
  [/\bso often\b/i, 'a number of times'],
  [/\bsaid so\b/i, 'stated'],
  [/\bfor it is\b/i, 'because it is'],
  [/\bnobody['’]s business\b/i, 'private'],
  [/\blies over\b/i, 'is applied to'],
  [/\bsettle[sd]?\b/i, 'finish, resolve'],
  [/\bmay everything\b/i, 'has all scopes'],
  [/\bis (?:none|no one) of\b/i, 'must be one of'],
  [
    /(?<!there )\bis no (?:page|range|folder|file|directory|number|path|list|record|row|picture|clip|model|recipe|key|name)\b/i,
    'is not a',
  ],
  [/\blast so:/i, 'Last error:'],
  [/\bsaid nothing\b/i, 'returned no answer'],
  [/\blooking around\b/i, 'checking'],
  [/\bwhat else the machine did\b/i, 'the load'],
  [/\bhow surely\b/i, 'with a probability'],
  [/\bof its own accord\b/i, 'automatically'],
  [/\bby itself\b/i, 'automatically, alone'],
  [/\bgives? up\b/i, 'stop'],
  [/\bthe like\b/i, 'similar'],
  [/\bwhoever\b/i, 'a caller that'],
  [/\bnowhere else\b/i, 'only here'],
  [/\ball the same\b/i, 'anyway'],
  [/\b(?:thereof|therein|hereby|whereby|wherein|whence|hence|thus|lest|ere)\b/i, 'a plain word'],
  [/\bshall\b/i, 'must, will'],
  [/\bas it were\b/i, 'leave it out'],
  [/\bno more than that\b/i, 'only that'],
  [/\bone another\b/i, 'each other'],
  [/\b(?:is|are|was|were) told (?:of|to)\b/i, 'is reported to'],
  [/\bmay (?:not )?be had\b/i, 'is available'],
  [/\bspoilt\b/i, 'damaged'],
  [/\blearnt\b/i, 'learned'],
];

export interface Fault {
  readonly line: number;
  readonly what: string;
  readonly text: string;
}

/** What is hard to read in a text: a sentence of too many words, or one of the turns above. */
export function faultsOf({ line, text }: Text): Fault[] {
  const plain = text
    .replaceAll(/`[^`]*`/g, 'X')
    .replaceAll(/\]\([^)]*\)/g, ']')
    .replaceAll(/https?:\S+/g, 'X');
  const turns = TURNS.flatMap(([turn, better]): Fault[] => {
    const found = turn.exec(plain)?.[0];
    return found === undefined ? [] : [{ line, what: `"${found}": ${better}`, text }];
  });
  const long = sentencesOf(plain).flatMap((sentence): Fault[] => {
    const words = wordsOf(sentence);
    return words > MOST_WORDS ? [{ line, what: `${words} words`, text: sentence }] : [];
  });
  return [...turns, ...long];
}

/** Sentences end with a mark before a space, with a blank line, at an item of a list and before a tag. */
export const sentencesOf = (text: string): string[] =>
  text
    .split(/(?<=[.!?][)"'”*_]*)\s+(?=[^a-z])|\n\s*\n|\n\s*(?=[-*] |\d+\. |@|[A-Za-z ]{2,30}: )/)
    .map((sentence) => sentence.replaceAll(/\s+/g, ' ').trim())
    .filter((sentence) => sentence !== '');

const wordsOf = (sentence: string): number => sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;

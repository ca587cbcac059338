import { QalignError } from '../../base/errors.js';
import type { ConversionChoices, DatasetSource } from '../../recipes/data/source.js';
import type { Delimiter } from '../../datasets/spec.js';
import type { FlagValues, Flags } from '../command.js';

/** Which ratings, and how one's own table is laid out. */
export const SOURCE_FLAGS = {
  labels: { type: 'string', value: 'DIR|FILE', help: 'the label files of a named data set' },
  source: { type: 'string', value: 'NAME', help: 'which of its sources, where DIR has several (see "dataset list")' },
  as: { type: 'string', value: 'FILENAME', help: 'the name that a renamed label file should have' },
  'split-list': {
    type: 'string',
    multiple: true,
    value: 'SPLIT=FILE',
    help: 'a published list of the names of a split; the rest becomes train',
  },
  'image-column': { type: 'string', value: 'NAME', help: 'own table: the column of the pictures or clips' },
  'score-column': { type: 'string', value: 'NAME', help: 'own table: the column of the scores' },
  'std-column': { type: 'string', value: 'NAME', help: 'own table: the column of their standard deviations' },
  'split-column': { type: 'string', value: 'NAME', help: 'own table: the column of train, dev, test …' },
  'group-column': { type: 'string', value: 'NAME', help: 'own table: the column of the reference pictures' },
  delimiter: {
    type: 'string',
    choices: ['comma', 'semicolon', 'tab', 'space'],
    help: 'own table: what parts the columns (default: by the extension)',
  },
  'lower-is-better': { type: 'boolean', help: 'own table: the scores are DMOS' },
  kind: { type: 'string', choices: ['image', 'video'], help: 'own data: what is rated (default: by the first name)' },
  task: { type: 'string', choices: ['quality', 'aesthetics'], help: 'own data: what was asked (default: quality)' },
  name: { type: 'string', value: 'NAME', help: 'own data: the name of the data set (default: of the file)' },
} as const satisfies Flags;

/** How ratings become records. */
export const CONVERSION_FLAGS = {
  preset: {
    type: 'string',
    choices: ['official', 'paper'],
    help: "official: as the authors' files (default of named sets); paper: Eq. 1 (default of one's own)",
  },
  range: {
    type: 'string',
    value: 'trimmed|minmax|LO,HI',
    help: 'what is divided into levels; LO,HI of an own table also bounds its scores',
  },
  over: { type: 'string', choices: ['all', 'split'], help: 'take the range over all rows or over each split' },
  edge: {
    type: 'string',
    choices: ['lower', 'upper'],
    help: 'a score on an edge belongs to the level whose lower, or whose upper edge it is',
  },
  outside: {
    type: 'string',
    choices: ['drop', 'clip'],
    help: 'scores outside of the range: left out, or in the end levels',
  },
  levels: { type: 'string', value: 'A,B,…', help: 'other level words, best first' },
  'soft-labels': {
    type: 'string',
    choices: ['auto', 'exact', 'published', 'none'],
    help: 'auto: exact ones where every row has a spread',
  },
  density: {
    type: 'string',
    choices: ['pdf', 'cdf'],
    help: 'the rule of the soft labels (default: as published for the data set)',
  },
  std: { type: 'number', value: 'S', help: 'spread of the ratings where a row has none, in the units of the score' },
  'score-text': { type: 'boolean', help: 'answers say the score ("3.45") instead of a level' },
  questions: { type: 'string', value: 'NAME|FILE', help: 'another list of paraphrases (configs/datasets/questions)' },
  split: { type: 'string', value: 'NAME', help: 'only this split' },
  seed: { type: 'number', value: 'N', help: 'of the paraphrases (default: 0)' },
} as const satisfies Flags;

type SourceFlags = FlagValues<typeof SOURCE_FLAGS>;
type ConversionFlags = FlagValues<typeof CONVERSION_FLAGS>;
const DELIMITER_OF: Readonly<Record<string, Delimiter>> = { comma: ',', semicolon: ';', tab: '\t', space: ' ' };

/** @throws QalignError USAGE for flags that do not go together */
export function readSource(dataset: string, overrides: readonly string[], flags: SourceFlags): DatasetSource {
  const ownFlags = (
    [
      'image-column',
      'score-column',
      'std-column',
      'split-column',
      'group-column',
      'delimiter',
      'kind',
      'task',
      'name',
    ] as const
  ).filter((name) => flags[name] !== undefined);
  if (flags.labels !== undefined && (ownFlags.length > 0 || flags['lower-is-better'])) {
    throw new QalignError(
      'USAGE',
      `--${ownFlags[0] ?? 'lower-is-better'} is for a table of your own; ${dataset} with --labels is read as its description says.`,
    );
  }
  return {
    dataset,
    labels: flags.labels,
    source: flags.source,
    as: flags.as,
    overrides,
    splitLists: Object.fromEntries(flags['split-list'].map(splitList)),
    own: {
      name: flags.name,
      kind: flags.kind as 'image' | 'video' | undefined,
      task: flags.task as 'quality' | 'aesthetics' | undefined,
      imageColumn: flags['image-column'],
      scoreColumn: flags['score-column'],
      stdColumn: flags['std-column'],
      splitColumn: flags['split-column'],
      groupColumn: flags['group-column'],
      delimiter: flags.delimiter === undefined ? undefined : DELIMITER_OF[flags.delimiter],
      lowerIsBetter: flags['lower-is-better'],
    },
  };
}

export function readChoices(flags: ConversionFlags): ConversionChoices {
  if (flags.std !== undefined && !(flags.std >= 0))
    throw new QalignError('USAGE', `--std ${flags.std} must be a number of at least 0.`);
  return {
    preset: flags.preset as ConversionChoices['preset'],
    range: readRange(flags.range),
    over: flags.over as ConversionChoices['over'],
    edge: flags.edge as ConversionChoices['edge'],
    outside: flags.outside as ConversionChoices['outside'],
    levels: flags.levels?.split(',').map((word) => word.trim()),
    softLabels: flags['soft-labels'] as ConversionChoices['softLabels'],
    density: flags.density as ConversionChoices['density'],
    std: flags.std,
    scoreText: flags['score-text'],
    questions: flags.questions,
    seed: readSeed(flags.seed),
    split: flags.split,
  };
}

export function readSeed(seed: number | undefined): number | undefined {
  if (seed !== undefined && !(Number.isSafeInteger(seed) && seed >= 0))
    throw new QalignError('USAGE', `--seed ${seed} must be a whole number of at least 0.`);
  return seed;
}

function readRange(text: string | undefined): ConversionChoices['range'] {
  if (text === undefined || text === 'trimmed' || text === 'minmax') return text;
  const parts = text
    .replace(/^\[(.*)\]$/, '$1')
    .split(',')
    .map((part) => (part.trim() === '' ? NaN : Number(part)));
  const [lo, hi] = parts;
  if (parts.length === 2 && lo! < hi! && Number.isFinite(hi! - lo!)) return [lo!, hi!];
  throw new QalignError(
    'USAGE',
    `--range ${text} is not a range; write trimmed, minmax, or two numbers, the lower first, such as 0,100.`,
  );
}

function splitList(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1)
    throw new QalignError('USAGE', `--split-list ${text} is not valid; write SPLIT=FILE, such as test=names.txt.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

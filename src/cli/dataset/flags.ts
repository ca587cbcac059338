import { QalignError } from '../../base/errors.js';
import type { ConversionChoices, DatasetSource } from '../../recipes/data/source.js';
import type { Delimiter } from '../../datasets/spec.js';
import type { FlagValues, Flags } from '../command.js';

/** Flags that select the ratings and describe the layout of an own table. */
export const SOURCE_FLAGS = {
  labels: { type: 'string', value: 'DIR|FILE', help: 'folder or file with the labels of a named data set' },
  source: {
    type: 'string',
    value: 'NAME',
    help: 'source of the labels, if DIR has several (see "qalign dataset list")',
  },
  as: { type: 'string', value: 'FILENAME', help: 'original name of a renamed label file' },
  'split-list': {
    type: 'string',
    multiple: true,
    value: 'SPLIT=FILE',
    help: 'published list of the names in a split; all other rows become train; can be repeated',
  },
  'image-column': {
    type: 'string',
    value: 'NAME',
    help: 'own table: column of the pictures or clips (default: none; JSON: image, img_path or media)',
  },
  'score-column': {
    type: 'string',
    value: 'NAME',
    help: 'own table: column of the scores (default: none; JSON: gt_score, mos or id.score)',
  },
  'std-column': { type: 'string', value: 'NAME', help: 'own table: column of the standard deviations of the ratings' },
  'split-column': { type: 'string', value: 'NAME', help: 'own table: column of the splits (train, dev, test …)' },
  'group-column': { type: 'string', value: 'NAME', help: 'own table: column of the reference pictures' },
  delimiter: {
    type: 'string',
    choices: ['comma', 'semicolon', 'tab', 'space'],
    help: 'own table: column separator (default: by the file extension)',
  },
  'lower-is-better': { type: 'boolean', help: 'own table: lower scores are better (DMOS)' },
  kind: {
    type: 'string',
    choices: ['image', 'video'],
    help: 'own data: kind of media (default: by the first file name)',
  },
  task: { type: 'string', choices: ['quality', 'aesthetics'], help: 'own data: what was rated (default: quality)' },
  name: { type: 'string', value: 'NAME', help: 'own data: name of the data set (default: the file name)' },
} as const satisfies Flags;

/** Flags that determine how ratings become records. */
export const CONVERSION_FLAGS = {
  preset: {
    type: 'string',
    choices: ['official', 'paper'],
    help: "official: as in the authors' files (default for named data sets); paper: Eq. 1 of the paper (default for own data)",
  },
  range: {
    type: 'string',
    value: 'trimmed|minmax|LO,HI',
    help: 'score range that is divided into levels; for an own table, LO,HI also limits its scores (default: by --preset)',
  },
  over: {
    type: 'string',
    choices: ['all', 'split'],
    help: 'compute the range over all rows or over each split (default: by --preset)',
  },
  edge: {
    type: 'string',
    choices: ['lower', 'upper'],
    help: 'level of a score on the edge between two levels; lower: the better level, upper: the worse level (default: by --preset)',
  },
  outside: {
    type: 'string',
    choices: ['drop', 'clip'],
    help: 'scores outside the range; drop: leave the row out, clip: use the end level (default: by --preset)',
  },
  levels: {
    type: 'string',
    value: 'A,B,…',
    help: 'other words for the levels, best first (default: excellent,good,fair,poor,bad)',
  },
  'soft-labels': {
    type: 'string',
    choices: ['auto', 'exact', 'published', 'none'],
    help: 'kind of soft labels; auto: exact if every row has a standard deviation, else none (default: auto)',
  },
  density: {
    type: 'string',
    choices: ['pdf', 'cdf'],
    help: 'soft labels from the normal density at each level (pdf) or its probability within half a level (cdf) (default: as published for the data set)',
  },
  std: {
    type: 'number',
    value: 'S',
    help: 'standard deviation of the ratings for rows without one, in units of the score',
  },
  'score-text': { type: 'boolean', help: 'write the score ("3.45") instead of a level in the answers' },
  questions: {
    type: 'string',
    value: 'NAME|FILE',
    help: 'other paraphrases of the question, of configs/datasets/questions (default: those of the data set)',
  },
  split: { type: 'string', value: 'NAME', help: 'convert only this split (default: all)' },
  seed: { type: 'number', value: 'N', help: 'seed for choosing the paraphrases (default: 0)' },
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
      `--${ownFlags[0] ?? 'lower-is-better'} is only for your own table; ${dataset} with --labels is read by its description.`,
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
    `--range ${text} is not a valid range; use trimmed, minmax, or two numbers, the lower first, such as 0,100.`,
  );
}

function splitList(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1)
    throw new QalignError('USAGE', `--split-list ${text} is not valid; use SPLIT=FILE, such as test=names.txt.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

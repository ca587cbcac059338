import { existsSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { loadDatasetSpec, loadQuestions } from '../../config/datasets.js';
import type { Conversion } from '../../datasets/convert.js';
import { openOwnRatings, type OwnData, type OwnSpec } from '../../datasets/own-data.js';
import type { RatingScan } from '../../datasets/rating.js';
import { findLabels, readSource } from '../../datasets/registry.js';
import type { LevelSettings } from '../../datasets/spec.js';
import { applySplitLists } from '../../datasets/read/split-list.js';
import { QalignError } from '../../base/errors.js';
import type { Reach } from '../../base/files/reach.js';
import { expandSources } from '../../media/sources.js';
import { IMAGE_MARKER } from '../../prompts/subject.js';
import { OFFICIAL_RULE, PAPER_RULE, type LevelRule } from '../../scoring/level-conversion.js';
import { LEVELS } from '../../scoring/levels.js';
import { SOFT_LABEL_RULE } from '../../scoring/soft-labels.js';

/** The source of the ratings: a named data set with its label files, or the user's own table or folder. */
export interface DatasetSource {
  /**
   * A name of `qalign dataset list`, a YAML file like those in configs/datasets, or the path of the user's own table or
   * folder.
   */
  readonly dataset: string;
  /**
   * Folder of the label files, or one of them. Omit it for own data.
   * @default none
   */
  readonly labels?: string | undefined;
  /** The label source, if a folder has several; default: the best complete one. */
  readonly source?: string | undefined;
  /**
   * The published name of a renamed label file.
   * @default its file name
   */
  readonly as?: string | undefined;
  /**
   * Overrides of the data set's YAML, as `key=value`.
   * @default none
   */
  readonly overrides?: readonly string[] | undefined;
  /**
   * How to read the user's own table.
   * @default none
   */
  readonly own?: OwnData | undefined;
  /**
   * Split → path of a published list of its names.
   * @default none
   */
  readonly splitLists?: Readonly<Record<string, string>> | undefined;
  /** For services: the allowed location of all files, checked after they are opened. Default: anywhere. */
  readonly within?: Reach | undefined;
}

/** How ratings are converted to records. Defaults come from the data set, for own data from Eq. 1 of the paper. */
export interface ConversionChoices {
  /**
   * `official`: reproduces the authors' files; `paper`: Eq. 1.
   * @default 'official' for a named data set, 'paper' for own data
   */
  readonly preset?: 'official' | 'paper' | undefined;
  /**
   * The range that is divided into levels: the range of the scores without or with its ends, or two numbers.
   * @example [0, 100]
   * @default by `preset`
   */
  readonly range?: LevelRule['range'] | undefined;
  /**
   * Compute the range over all rows or over each split.
   * @default by `preset`
   */
  readonly over?: 'all' | 'split' | undefined;
  /**
   * Whether a score on the edge between two levels is the lower or the upper edge of its level.
   * @default by `preset`
   */
  readonly edge?: LevelRule['edge'] | undefined;
  /**
   * Whether scores outside the range are dropped or assigned to the end levels.
   * @default by `preset`
   */
  readonly outside?: LevelRule['outside'] | undefined;
  /**
   * Level names, best first.
   * @default LEVELS
   */
  readonly levels?: readonly string[] | undefined;
  /**
   * `auto`: exact soft labels if every row has a standard deviation.
   * @default 'auto'
   */
  readonly softLabels?: 'auto' | 'exact' | 'published' | 'none' | undefined;
  /** The rule of the soft labels; default: as published for the data set. */
  readonly density?: 'pdf' | 'cdf' | undefined;
  /**
   * Standard deviation of the ratings for rows without one, in units of the MOS.
   * @default none
   */
  readonly std?: number | undefined;
  /**
   * Write answers with the score ("3.45") instead of a level.
   * @default false
   */
  readonly scoreText?: boolean | undefined;
  /**
   * Name of a list of questions, or a YAML file with one.
   * @default that of the data set
   */
  readonly questions?: string | undefined;
  /**
   * Seed for choosing the paraphrases.
   * @default 0
   */
  readonly seed?: number | undefined;
  /**
   * Convert only this split.
   * @default all splits
   */
  readonly split?: string | undefined;
}

export interface OpenedSource {
  readonly spec: OwnSpec;
  /** Name of the label source; `own` or `folder` for own data. */
  readonly source: string;
  readonly own: boolean;
  readonly scan: RatingScan;
  /**
   * Call it after the conversion.
   * @throws QalignError DATASET_VALUE if a split list matched no row
   */
  readonly check: () => void;
}

type Unsplit = Omit<OpenedSource, 'check'> & { lists: Readonly<Record<string, string>> };

/** @throws QalignError CONFIG_NOT_FOUND, CONFIG_INVALID, DATASET_* and USAGE */
export async function openSource({
  dataset,
  labels,
  source,
  as,
  overrides = [],
  own = {},
  splitLists = {},
  within,
  ...choices
}: DatasetSource & Pick<ConversionChoices, 'range' | 'outside' | 'levels'>): Promise<OpenedSource> {
  const { lists, ...opened } =
    labels === undefined
      ? await openOwn(dataset, { ...own, within }, overrides, choices)
      : await openNamed(dataset, labels, { source, as, overrides, within });
  const all = { ...lists, ...splitLists };
  if (Object.keys(all).length === 0) return { ...opened, check: () => undefined };
  // only lists that the user names must match: part of a published table can lack the names of its own lists
  const listed = await applySplitLists(opened.scan, all, Object.keys(splitLists), within);
  return { ...opened, scan: () => listed.scan(), check: () => listed.check() };
}

async function openNamed(
  dataset: string,
  labels: string,
  {
    source,
    as,
    overrides,
    within,
  }: {
    source: string | undefined;
    as: string | undefined;
    overrides: readonly string[];
    within: Reach | undefined;
  },
): Promise<Unsplit> {
  const spec = await loadDatasetSpec(dataset, overrides);
  const found = findLabels(spec, labels, { source, as });
  // some copies of the labels use another scale and define their own range
  const levels: LevelSettings = { ...spec.levels, ...found.files[0]?.layout.levels };
  return {
    spec: { ...spec, levels },
    source: found.source,
    own: false,
    scan: await readSource(spec, found, within),
    lists: found.splitLists,
  };
}

async function openOwn(
  path: string,
  own: OwnData,
  overrides: readonly string[],
  { range, outside, levels }: Pick<ConversionChoices, 'range' | 'outside' | 'levels'>,
): Promise<Unsplit> {
  if (!existsSync(path)) {
    const named = await loadDatasetSpec(path).catch(() => undefined);
    if (named !== undefined)
      throw new QalignError('USAGE', `${named.title} needs its label files; name their folder with --labels.`);
    throw new QalignError(
      'DATASET_NOT_FOUND',
      `"${path}" is not a data set, a file or a folder; "qalign dataset list" shows the data sets.`,
    );
  }
  if (overrides.length > 0)
    throw new QalignError(
      'USAGE',
      `"${overrides[0]}" overrides the description of a named data set; use flags for your own table.`,
    );
  const given = typeof range === 'object' ? range : undefined;
  // two numbers are the scale: it bounds the scores, and DMOS are inverted on it; with `outside`, scores beyond it are
  // not an error
  const scale = own.scale ?? (outside === undefined ? given : undefined);
  const mirror = scale ?? given;
  const opened = await openOwnRatings(
    path,
    { ...own, scale, levels, mirror: mirror && mirror[0] + mirror[1] },
    (folder) => mediaOfFolder(folder, own.within),
  );
  return {
    ...opened,
    spec: own.scale === undefined ? opened.spec : { ...opened.spec, scale: [own.scale[0], own.scale[1]] },
    own: true,
    lists: {},
  };
}

/**
 * Resolves all settings of a conversion except the media paths.
 * @throws QalignError CONFIG_*
 */
export async function planConversion(
  { spec, own }: Pick<OpenedSource, 'spec' | 'own'>,
  choices: ConversionChoices,
): Promise<Omit<Conversion, 'mediaOf'>> {
  const preset = choices.preset ?? (own ? 'paper' : 'official');
  const names = choices.levels ?? spec.levels.names ?? LEVELS;
  if (names.length < 2 || new Set(names).size < names.length || names.some((name) => !/^\S+$/.test(name))) {
    throw new QalignError(
      'CONFIG_INVALID',
      `The levels ${JSON.stringify(names)} are not valid; name at least two different words without spaces, best first.`,
    );
  }
  const base: LevelRule =
    preset === 'official'
      ? { ...OFFICIAL_RULE, names, range: spec.levels.range, edge: spec.levels.edge, outside: spec.levels.outside }
      : // for own data, the given range is the scale of Eq. 1
        {
          ...PAPER_RULE,
          names,
          range: own && typeof spec.levels.range !== 'string' ? spec.levels.range : PAPER_RULE.range,
        };
  const range = choices.range ?? base.range;
  const chosen = own || choices.range !== undefined;
  const mode = choices.softLabels ?? 'auto';
  const questions = await loadQuestions(choices.questions ?? spec.questions);
  return {
    dataset: spec.name,
    kind: spec.kind,
    task: spec.task,
    rule: {
      ...base,
      range,
      edge: choices.edge ?? base.edge,
      outside: choices.outside ?? base.outside,
      ends: endsWithScale(range, spec.scale) ? 'closed' : base.ends,
    },
    over: choices.over ?? (preset === 'official' || own ? spec.levels.over : 'split'),
    splitRanges: preset === 'official' && choices.range === undefined ? (spec.levels.splits ?? {}) : {},
    softLabels:
      mode === 'none'
        ? undefined
        : {
            ...SOFT_LABEL_RULE,
            density: choices.density ?? spec.density,
            mode: mode === 'published' ? 'published' : 'exact',
          },
    softLabelsRequired: mode === 'exact' || mode === 'published',
    assumedStd: choices.std,
    // a given range is the scale; the range of a published set is where its authors cut
    scale: typeof range === 'object' && chosen ? { min: range[0], max: range[1] } : undefined,
    scoreText: choices.scoreText ?? false,
    questions: questions.map((question) => `${question}\n${IMAGE_MARKER}`),
    seed: choices.seed ?? 0,
    split: choices.split,
  };
}

async function* mediaOfFolder(
  folder: string,
  within: Reach | undefined,
): AsyncGenerator<{ name: string; kind: 'image' | 'video' }> {
  for await (const { media, input, kind, error } of expandSources([folder], { limits: { within } })) {
    if (error?.code === 'PATH_FORBIDDEN') throw error;
    if (typeof media !== 'string')
      throw new QalignError(
        'DATASET_UNREADABLE',
        `The name ${JSON.stringify(input)} is not valid UTF-8, which records require; rename the file.`,
      );
    yield { name: relative(folder, media).split(sep).join('/'), kind };
  }
}

/**
 * A score can equal the end of the scale. Only if the authors cut inside the scale, the end of the range is excluded.
 */
function endsWithScale(range: LevelRule['range'], scale: OwnSpec['scale']): boolean {
  return typeof range === 'object' && scale !== undefined && range[0] <= scale[0] && range[1] >= scale[1];
}

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

/** Where ratings come from: a data set by name with its label files, or a table or folder of one's own. */
export interface DatasetSource {
  /**
   * A data set of `qalign dataset list`, a YAML file like those of configs/datasets/, or the path of one's own table or
   * folder.
   */
  readonly dataset: string;
  /** Folder of the label files, or one of them; for one's own data left out. */
  readonly labels?: string | undefined;
  /** The source of the labels, where a folder has several; default: the best that is whole. */
  readonly source?: string | undefined;
  /** The name that a renamed label file should have. */
  readonly as?: string | undefined;
  /** `key=value` for the YAML of the data set. */
  readonly overrides?: readonly string[] | undefined;
  /** How to read one's own table. */
  readonly own?: OwnData | undefined;
  /** Split → a published list of its names. */
  readonly splitLists?: Readonly<Record<string, string>> | undefined;
  /** Where all files that are read must lie, checked of the opened ones: for services. Anywhere by default. */
  readonly within?: Reach | undefined;
}

/** How ratings become records. What is left out comes from the data set; for one's own data from Eq. 1 of the paper. */
export interface ConversionChoices {
  /**
   * `official`: as the authors' files were made; `paper`: Eq. 1.
   * @default 'official' for a named data set, 'paper' for one's own
   */
  readonly preset?: 'official' | 'paper' | undefined;
  /**
   * What is divided into levels: the range of the scores without their ends, all of it, or two numbers.
   * @example [0, 100]
   */
  readonly range?: LevelRule['range'] | undefined;
  /** Take the range over all rows, or over each split. */
  readonly over?: 'all' | 'split' | undefined;
  /** A score on an edge belongs to the level whose lower, or whose upper edge it is. */
  readonly edge?: LevelRule['edge'] | undefined;
  /** Scores outside of the range: left out, or in the end levels. */
  readonly outside?: LevelRule['outside'] | undefined;
  /** Level names, best first. */
  readonly levels?: readonly string[] | undefined;
  /**
   * `auto`: exact ones where every row has a spread.
   * @default 'auto'
   */
  readonly softLabels?: 'auto' | 'exact' | 'published' | 'none' | undefined;
  /** The rule of the soft labels; by default as published for the data set. */
  readonly density?: 'pdf' | 'cdf' | undefined;
  /** Spread of the ratings where a row has none, in the units of the MOS. */
  readonly std?: number | undefined;
  /**
   * Answers say the score ("3.45") in place of a level.
   * @default false
   */
  readonly scoreText?: boolean | undefined;
  /** The name of a list of questions, or a YAML file of one. */
  readonly questions?: string | undefined;
  /**
   * Of the paraphrases.
   * @default 0
   */
  readonly seed?: number | undefined;
  /** Only this split. */
  readonly split?: string | undefined;
}

export interface OpenedSource {
  readonly spec: OwnSpec;
  /** Which of the ways to get the labels was taken; `own` or `folder` for one's own data. */
  readonly source: string;
  readonly own: boolean;
  readonly scan: RatingScan;
  /** @throws QalignError DATASET_VALUE after the conversion, where a list of a split named nothing */
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
  // a part of a published table may hold none of the names of its list; a list that someone names is meant to fit
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
  // some copies of the labels are on another scale and bring the range that belongs to it
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
      throw new QalignError('USAGE', `${named.title} needs its label files: name their folder with --labels.`);
    throw new QalignError(
      'DATASET_NOT_FOUND',
      `There is no data set and no file or folder "${path}"; "qalign dataset list" shows the data sets.`,
    );
  }
  if (overrides.length > 0)
    throw new QalignError(
      'USAGE',
      `"${overrides[0]}" changes the description of a named data set; for a table of your own use the flags.`,
    );
  const given = typeof range === 'object' ? range : undefined;
  // two numbers are the scale, which bounds the scores and on which DMOS are inverted; with `outside`, scores beyond it
  // are not refused
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

/** Everything that decides what records come out, but for where the media lie. @throws QalignError CONFIG_* */
export async function planConversion(
  { spec, own }: Pick<OpenedSource, 'spec' | 'own'>,
  choices: ConversionChoices,
): Promise<Omit<Conversion, 'mediaOf'>> {
  const preset = choices.preset ?? (own ? 'paper' : 'official');
  const names = choices.levels ?? spec.levels.names ?? LEVELS;
  if (names.length < 2 || new Set(names).size < names.length || names.some((name) => !/^\S+$/.test(name))) {
    throw new QalignError(
      'CONFIG_INVALID',
      `The levels ${JSON.stringify(names)} cannot be used; give at least two different words, best first.`,
    );
  }
  const base: LevelRule =
    preset === 'official'
      ? { ...OFFICIAL_RULE, names, range: spec.levels.range, edge: spec.levels.edge, outside: spec.levels.outside }
      : // the range that someone names for scores of their own is the scale of Eq. 1
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
    // the range that someone names is the scale; that of a published set is where its authors cut
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
        `The name ${JSON.stringify(input)} is not UTF-8, which records are written in; rename the file.`,
      );
    yield { name: relative(folder, media).split(sep).join('/'), kind };
  }
}

/** The best picture may have the end of the scale itself; only where authors cut within it, their end is outside. */
function endsWithScale(range: LevelRule['range'], scale: OwnSpec['scale']): boolean {
  return typeof range === 'object' && scale !== undefined && range[0] <= scale[0] && range[1] >= scale[1];
}

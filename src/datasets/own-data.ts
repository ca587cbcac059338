import { statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { QalignError } from '../base/errors.js';
import type { Reach } from '../base/files/reach.js';
import { LEVELS } from '../scoring/levels.js';
import type { Rating, RatingScan } from './rating.js';
import { openRatings } from './ratings.js';
import { readJsonTable } from './read/json.js';
import { firstLines } from './read/text-table.js';
import type { DatasetSpec, Delimiter, LabelFile } from './spec.js';

/** How to read the user's own table. */
export interface OwnData {
  /** Name of the data set. Default: the file name. */
  readonly name?: string | undefined;
  /** Kind of media. Default: by the first file name. */
  readonly kind?: 'image' | 'video' | undefined;
  /**
   * What was rated.
   * @default 'quality'
   */
  readonly task?: 'quality' | 'aesthetics' | undefined;
  /** Column of the pictures or clips. Required, except in JSON, where `image`, `img_path` or `media` is the default. */
  readonly imageColumn?: string | undefined;
  /** Column of the scores. Required, except in JSON, where `gt_score`, `mos` or `id.score` is the default. */
  readonly scoreColumn?: string | undefined;
  /** Column of the standard deviations of the ratings. Default: none. */
  readonly stdColumn?: string | undefined;
  /** Column of the splits. Default: none; all rows are the split `all`. */
  readonly splitColumn?: string | undefined;
  /** Column of the reference pictures. Default: none. */
  readonly groupColumn?: string | undefined;
  /** Separator of text tables; default: by file extension. */
  readonly delimiter?: Delimiter | undefined;
  /** Lowest and highest valid score. A score outside is an error. Default: `range` of the conversion, else no limit. */
  readonly scale?: readonly [number, number] | undefined;
  /**
   * Lower scores are better (DMOS); they are inverted.
   * @default false
   */
  readonly lowerIsBetter?: boolean | undefined;
  /** With `lowerIsBetter`, mos = mirror − score. Default: the sum of both ends of the scale, or 0 without a scale. */
  readonly mirror?: number | undefined;
  /** Names of the levels, best first. For a folder, these are the names of its subfolders. */
  readonly levels?: readonly string[] | undefined;
  /** Allowed location of the opened files; default: anywhere. */
  readonly within?: Reach | undefined;
}

/** The part of a data set's description that own data have. */
export type OwnSpec = Pick<
  DatasetSpec,
  'name' | 'title' | 'version' | 'licence' | 'kind' | 'task' | 'media' | 'levels' | 'density' | 'questions' | 'id'
> &
  Partial<Pick<DatasetSpec, 'scale'>>;

export interface OwnRatings {
  readonly spec: OwnSpec;
  readonly scan: RatingScan;
  readonly source: string;
}

const FORMATS: Readonly<Record<string, Pick<LabelFile, 'format' | 'delimiter'>>> = {
  '.csv': { format: 'table', delimiter: ',' },
  '.tsv': { format: 'table', delimiter: '\t' },
  '.txt': { format: 'table', delimiter: ' ' },
  '.json': { format: 'json' },
  '.jsonl': { format: 'json' },
  '.xlsx': { format: 'xlsx' },
  '.parquet': { format: 'parquet' },
  '.mat': { format: 'mat' },
};
const CLIP = /\.(mp4|mov|mkv|webm|avi|m4v|mpe?g|flv|ogv|ts)$/i;

/** Lists the pictures and clips of a folder by file content, as relative paths separated by `/`. */
export type ListMedia = (folder: string) => AsyncIterable<{ readonly name: string; readonly kind: 'image' | 'video' }>;

/**
 * Opens the ratings of a CSV, TSV, JSON, JSONL, XLSX, Parquet or MAT table, or of a folder with one subfolder per
 * level. It also reads the LLaVA-style JSON that Q-Align publishes.
 * @throws QalignError of the dataset family; USAGE without the names of the columns
 */
export async function openOwnRatings(path: string, own: OwnData, listMedia: ListMedia): Promise<OwnRatings> {
  const folders = own.levels ?? LEVELS;
  const {
    scan,
    source,
    kind: found,
  } = isFolder(path)
    ? { ...(await folderRatings(path, folders, listMedia)), source: 'folder' }
    : { scan: await tableRatings(path, own), source: 'own', kind: undefined };
  const kind = own.kind ?? found ?? (CLIP.test(await firstName(scan)) ? 'video' : 'image');
  const task = own.task ?? 'quality';
  const name = own.name ?? basename(path).replace(/\.[^.]+$/, '');
  const spec: OwnSpec = {
    name,
    title: name,
    version: '',
    licence: 'not stated',
    kind,
    task,
    media: '',
    levels:
      source === 'folder' // the level is the rating, so the range covers all levels, even missing ones
        ? { range: [1, folders.length], over: 'all', outside: 'clip', edge: 'lower' }
        : {
            range: own.scale === undefined ? 'trimmed' : [own.scale[0], own.scale[1]],
            over: 'all',
            outside: kind === 'video' ? 'clip' : 'drop',
            edge: 'lower',
          },
    density: 'pdf',
    questions: `${kind}-${task}`,
    id: 'name',
  };
  return { spec, scan, source };
}

async function tableRatings(path: string, own: OwnData): Promise<RatingScan> {
  const extension = extname(path).toLowerCase();
  const format = FORMATS[extension];
  if (format === undefined)
    throw new QalignError(
      'DATASET_UNREADABLE',
      `${basename(path)} does not have the extension of a table (${Object.keys(FORMATS).join(', ')}); rename it to match its format.`,
    );
  const columns = await columnsOf(path, own, extension);
  const layout: LabelFile = {
    file: basename(path),
    header: true,
    ...format,
    ...(format.delimiter === ' ' && (await isTabbed(path, own.within)) ? { delimiter: '\t' } : {}),
    ...(own.delimiter === undefined ? {} : { delimiter: own.delimiter }),
    columns,
  };
  const { scale, lowerIsBetter = false, mirror, within } = own;
  return openRatings(path, layout, { scale, lowerIsBetter, mirror, within });
}

/** Whether a .txt file is separated by tabs, like the "Unicode text" of Excel, whose cells can contain spaces. */
async function isTabbed(path: string, within: Reach | undefined): Promise<boolean> {
  const [header, row] = (await firstLines(path, 2, within)).map((line) => line.split('\t').length);
  return header !== undefined && header > 1 && header === row;
}

async function firstName(scan: RatingScan): Promise<string> {
  for await (const [first] of scan()) if (first !== undefined) return first.name;
  return '';
}

async function columnsOf(path: string, own: OwnData, extension: string): Promise<LabelFile['columns']> {
  const { imageColumn, scoreColumn } = own;
  const rest = {
    ...(own.stdColumn === undefined ? {} : { std: own.stdColumn }),
    ...(own.splitColumn === undefined ? {} : { split: own.splitColumn }),
    ...(own.groupColumn === undefined ? {} : { group: own.groupColumn }),
  };
  if (imageColumn !== undefined && scoreColumn !== undefined) return { name: imageColumn, score: scoreColumn, ...rest };
  if (extension === '.json') {
    const header = (await readJsonTable(path, {}, own.within)).header ?? [];
    const name = imageColumn ?? ['image', 'img_path', 'media'].find((column) => header.includes(column));
    const score = scoreColumn ?? ['gt_score', 'mos', 'id.score'].find((column) => header.includes(column));
    if (name !== undefined && score !== undefined) return { name, score, ...rest };
  }
  throw new QalignError(
    'USAGE',
    `The columns of ${basename(path)} are unknown; name those of the pictures and scores with --image-column and --score-column.`,
  );
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Reads a folder with one subfolder per level. The level is the rating, 5 to 1. The kind is that of the first file. */
async function folderRatings(
  path: string,
  levels: readonly string[],
  listMedia: ListMedia,
): Promise<{ scan: RatingScan; kind: 'image' | 'video' | undefined }> {
  const ratings: Rating[] = [];
  let first: 'image' | 'video' | undefined;
  for (const [index, level] of levels.entries()) {
    if (!isFolder(join(path, level))) continue;
    for await (const { name, kind } of listMedia(join(path, level))) {
      first ??= kind;
      const mos = levels.length - index;
      ratings.push({
        name: `${level}/${name}`,
        mos,
        digits: `${mos}.0`,
        std: undefined,
        split: 'all',
        group: undefined,
        file: `${basename(path)}/${level}`,
        row: ratings.length + 1,
      });
    }
  }
  if (ratings.length === 0)
    throw new QalignError(
      'DATASET_EMPTY',
      `${path} has no ratings: it has no pictures in subfolders named ${levels.join(', ')}; create these subfolders, or name a table with --image-column and --score-column.`,
    );
  return {
    kind: first,
    scan: async function* () {
      yield ratings;
    },
  };
}

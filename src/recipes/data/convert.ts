/** Entry point of src/recipes/data: reads and writes the files; src/datasets creates, checks and splits the records. */
import { dirname, extname, join, relative, resolve, sep } from 'node:path';
import type { DatasetRecord } from '../../../bridge/protocol/record.js';
import { convertRatings, type ConversionSummary } from '../../datasets/convert.js';
import { openWhole, type WholeFile } from '../../base/files/whole-file.js';
import { llavaElement, LLAVA_TEXT } from '../../datasets/llava.js';
import { createMediaFinder } from '../../datasets/media-finder.js';
import type { Rating } from '../../datasets/rating.js';
import {
  JSONL_TEXT,
  openOneFile,
  openSplitFiles,
  recordLine,
  type RecordFiles,
  type RecordText,
  type WrittenFile,
} from '../../datasets/record-sink.js';
import { QalignError } from '../../base/errors.js';
import { openSource, planConversion, type ConversionChoices, type DatasetSource, type OpenedSource } from './source.js';
import { extractClips } from './extract-clips.js';
import { provenance, type Provenance } from '../../base/provenance.js';

/** The label files, the rules of the conversion and the output. */
export interface ConvertOptions extends DatasetSource, ConversionChoices {
  /**
   * Folder of the pictures or clips. Without it, media paths are those of the published data set, and files are not
   * checked.
   * @default no check
   */
  readonly media?: string | undefined;
  /**
   * Handling of a rated item that is not in the media folder. `keep` writes the path where the file is expected.
   * @default 'error'
   */
  readonly missing?: 'error' | 'skip' | 'keep' | undefined;
  /**
   * Extract the frames of clips, in the size that the model needs, to a subfolder of the output. The records then refer
   * to the frames, and training decodes no clips.
   * @default false
   */
  readonly extractFrames?: boolean | undefined;
  /**
   * Side of the extracted frames in pixels; OneAlign needs 448.
   * @default 448
   */
  readonly frameSize?: number | undefined;
  /**
   * `jsonl`: records, a JSON object per line; `llava`: the format of the published training code.
   * @default 'jsonl'
   */
  readonly format?: 'jsonl' | 'llava' | undefined;
  /**
   * A folder (one file per split, and dataset.json), a .jsonl or .json file, or a function that receives the text in
   * parts.
   */
  readonly out: string | ((text: string) => Promise<void> | void);
  /**
   * For services: the name of the folder if `out` is a path into an open folder. Media paths are relative to it. Links
   * in `out` are then replaced, not followed.
   * @default `out`
   */
  readonly outName?: string | undefined;
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of records written so far. */
  readonly onProgress?: ((written: number) => void) | undefined;
  /** Called with the number of clips whose frames are extracted, and the total number of rows. */
  readonly onClip?: ((done: number, total: number) => void) | undefined;
}

/** The content of dataset.json. */
export interface DatasetManifest extends ConversionSummary {
  /** Name of the dataset as its authors write it. */
  title: string;
  /** Source of the labels that was read. */
  source: string;
  /** Licence of labels and media. */
  licence: string;
  /** Kind of the rated files: `image` or `video`. */
  kind: string;
  /** The question of the study: `quality` or `aesthetics`. */
  task: string;
  /** Level names, best first. */
  level_names: string[];
  /** Rule for a score on the edge of two levels. */
  edge: 'lower' | 'upper';
  /** Rule for a score outside the range. */
  outside: 'drop' | 'clip';
  /** The options of the conversion, as the caller gave them. */
  options: Record<string, unknown>;
  /** Versions, time and machine of the conversion. */
  made_by: Provenance;
}

/** Counts and ranges of the conversion, and the files written. */
export interface ConvertResult {
  /** The content of `dataset.json`. */
  readonly manifest: DatasetManifest;
  /** Empty if `out` is a function. */
  readonly files: readonly WrittenFile[];
}

/**
 * Converts label files to records. If it fails, no output file is written.
 * @throws QalignError of the config and dataset families, OUTPUT_UNWRITABLE; the reason of the signal
 * @example
 * ```ts
 * const { files } = await convertDataset({
 *   dataset: 'ratings.csv',
 *   own: { imageColumn: 'file', scoreColumn: 'mos' },
 *   range: [0, 100],
 *   media: 'photos',
 *   out: 'data/own',
 * });
 * console.log(files.map(({ path }) => path));
 * ```
 */
export async function convertDataset(options: ConvertOptions): Promise<ConvertResult> {
  const opened = await openSource(options);
  const plan = await planConversion(opened, options);
  const text = options.format === 'llava' ? LLAVA_TEXT : JSONL_TEXT;
  const output = openOutput(options, text);
  const lineOf = options.format === 'llava' ? llavaLine(opened) : recordLine;
  let written = 0;
  let manifestFile: WholeFile | undefined;
  try {
    const mediaOf = await mediaNamer(options, opened);
    const summary = await convertRatings(opened.scan, { ...plan, mediaOf }, (record, rating) => {
      if (++written % 1000 === 0) {
        options.signal?.throwIfAborted();
        options.onProgress?.(written);
      }
      return output.files.write(record.split, lineOf(record, rating));
    });
    opened.check();
    const manifest = await describe(options, opened, plan.rule, summary);
    // the manifest is written before the records become visible, so that a failed write leaves no records
    if (output.manifest !== undefined)
      manifestFile = await openWhole(output.manifest, { replace: options.outName !== undefined });
    await manifestFile?.write(`${JSON.stringify(manifest, null, 2)}\n`);
    const files = await output.files.commit();
    await manifestFile?.commit();
    return { manifest, files };
  } catch (error) {
    await output.files.discard();
    await manifestFile?.discard();
    throw error;
  }
}

interface Output {
  readonly files: RecordFiles;
  readonly manifest: string | undefined;
}

function openOutput({ out, outName }: Pick<ConvertOptions, 'out' | 'outName'>, text: RecordText): Output {
  if (typeof out === 'function') return { files: streamed(out, text), manifest: undefined };
  const extension = extname(out).toLowerCase();
  const replace = outName !== undefined;
  if (extension === text.extension)
    return { files: openOneFile(out, text, { replace }), manifest: `${out.slice(0, -extension.length)}.dataset.json` };
  if (extension === '.json' || extension === '.jsonl')
    throw new QalignError(
      'USAGE',
      `${out} does not match the format; name a folder, or a file that ends in ${text.extension}.`,
    );
  return { files: openSplitFiles(out, text, { replace }), manifest: join(out, 'dataset.json') };
}

function streamed(out: (text: string) => Promise<void> | void, text: RecordText): RecordFiles {
  let records = 0;
  return {
    write: (_, line) => out((records++ === 0 ? text.start : text.between) + line) ?? undefined,
    async commit() {
      await out(records === 0 ? text.empty : text.end);
      return [];
    },
    discard: async () => undefined,
  };
}

function llavaLine({ spec }: OpenedSource): (record: DatasetRecord, rating: Rating) => string {
  return (record, rating) =>
    llavaElement({ ...record, media: publishedPath(spec.media, rating.name) }, rating, {
      id: spec.id,
      gtScore: record.split !== 'train',
    });
}

/** The path in the published files, for example `koniq/10004473376.jpg`. */
function publishedPath(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

/** With a media folder, paths are relative to the folder of the records, so that training needs no other setting. */
async function mediaNamer(
  options: ConvertOptions,
  opened: OpenedSource,
): Promise<(rating: Rating) => string | undefined> {
  const { spec, source } = opened;
  const root = options.media ?? (source === 'folder' ? options.dataset : undefined);
  if (root === undefined) {
    if (options.extractFrames === true)
      throw new QalignError('USAGE', 'Extracting frames needs the clips; name their folder with --media.');
    return (rating) => publishedPath(spec.media, rating.name);
  }
  const finder = createMediaFinder(root, spec.media, options.within);
  const out = options.outName ?? options.out;
  const base = typeof out === 'function' ? process.cwd() : extname(out) === '' ? resolve(out) : dirname(resolve(out));
  const find = ({ name, file, row }: Rating): string | undefined => {
    const found =
      finder.find(name) ?? (options.missing === 'keep' ? join(root, publishedPath(spec.media, name)) : undefined);
    if (found !== undefined || options.missing === 'skip') return found;
    throw new QalignError(
      'DATASET_MEDIA_MISSING',
      `${file}:${row}: ${name} was not found in ${root}; add the file, or omit such rows with --missing skip.`,
    );
  };
  const frames = options.extractFrames === true ? await framesOf(options, opened, base, find) : undefined;
  return (rating) => {
    const found = frames === undefined ? find(rating) : frames.get(rating.name);
    return found === undefined ? undefined : relative(base, resolve(found)).split(sep).join('/');
  };
}

function framesOf(
  options: ConvertOptions,
  { spec, scan }: OpenedSource,
  base: string,
  find: (rating: Rating) => string | undefined,
): Promise<ReadonlyMap<string, string>> {
  if (spec.kind !== 'video')
    throw new QalignError('USAGE', `${spec.title} has pictures, not clips; omit --extract-frames.`);
  if (typeof options.out === 'function')
    throw new QalignError('USAGE', 'Extracted frames need an output folder; name it with --out.');
  const size = options.frameSize ?? 448;
  if (!(Number.isInteger(size) && size >= 14 && size <= 4096))
    throw new QalignError('USAGE', `The frame size ${size} is not valid; use a whole number from 14 to 4096.`);
  return extractClips(scan, {
    out: join(base, 'frames'),
    size,
    damaged: options.missing === 'skip' ? 'skip' : 'error',
    fileOf: find,
    signal: options.signal,
    onClip: options.onClip,
  });
}

async function describe(
  options: ConvertOptions,
  { spec, source }: OpenedSource,
  rule: { names: readonly string[]; edge: 'lower' | 'upper'; outside: 'drop' | 'clip' },
  summary: ConversionSummary,
): Promise<DatasetManifest> {
  const {
    out: _out,
    outName: _outName,
    within: _within,
    signal: _signal,
    onProgress: _onProgress,
    onClip: _onClip,
    ...given
  } = options;
  return {
    ...summary,
    title: spec.title,
    source,
    licence: spec.licence,
    kind: spec.kind,
    task: spec.task,
    level_names: [...rule.names],
    edge: rule.edge,
    outside: rule.outside,
    options: given,
    made_by: await provenance(),
  };
}

/** The boundary of src/recipes/data: the files around src/datasets, which makes, checks and divides the records. */
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

/** Which label files become records, by which rules, and where they are written. */
export interface ConvertOptions extends DatasetSource, ConversionChoices {
  /**
   * Folder of the pictures or clips; without it media paths are written as the data set publishes them and nothing is
   * looked at.
   */
  readonly media?: string | undefined;
  /**
   * What to do with a rated item that is not in the media folder. `keep` names the file it should have had.
   * @default 'error'
   */
  readonly missing?: 'error' | 'skip' | 'keep' | undefined;
  /**
   * Write the frames of clips, as the model takes them, below the output folder, and name these instead of the clips:
   * training then decodes none.
   */
  readonly extractFrames?: boolean | undefined;
  /**
   * Side of such frames in pixels; OneAlign has 448.
   * @default 448
   */
  readonly frameSize?: number | undefined;
  /**
   * `jsonl`: the records of bridge/protocol/record; `llava`: what the published training code reads.
   * @default 'jsonl'
   */
  readonly format?: 'jsonl' | 'llava' | undefined;
  /**
   * A folder (one file a split, and dataset.json), a .jsonl or .json file, or a function that takes the text as it is
   * made.
   */
  readonly out: string | ((text: string) => Promise<void> | void);
  /**
   * For services, where `out` leads into an open folder: its name, which media paths are written relative to. Links in
   * `out` are then replaced and not followed.
   */
  readonly outName?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Records written so far. */
  readonly onProgress?: ((written: number) => void) | undefined;
  /** Clips whose frames are extracted so far, and rows in all. */
  readonly onClip?: ((done: number, total: number) => void) | undefined;
}

/** What stands in dataset.json beside the records. */
export interface DatasetManifest extends ConversionSummary {
  title: string;
  source: string;
  licence: string;
  kind: string;
  task: string;
  level_names: string[];
  edge: 'lower' | 'upper';
  outside: 'drop' | 'clip';
  /** The options that made it, as they were given. */
  options: Record<string, unknown>;
  made_by: Provenance;
}

/** What was converted: counts, ranges and the files written. */
export interface ConvertResult {
  readonly manifest: DatasetManifest;
  /** Empty where the text went to a function. */
  readonly files: readonly WrittenFile[];
}

/**
 * Label files → records. All output files appear together when everything went well, or none does.
 * @throws QalignError of the config and dataset families, OUTPUT_UNWRITABLE; the signal's reason
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
    // written, and not yet there: what can fail has failed before the records appear
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
      `${out}: this format is written to a folder or to a file that ends in ${text.extension}.`,
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

/** Where the published files expect it: `koniq/10004473376.jpg`. */
function publishedPath(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

/** With a media folder: relative to where the records are written, so that they can be trained on as they are. */
async function mediaNamer(
  options: ConvertOptions,
  opened: OpenedSource,
): Promise<(rating: Rating) => string | undefined> {
  const { spec, source } = opened;
  const root = options.media ?? (source === 'folder' ? options.dataset : undefined);
  if (root === undefined) {
    if (options.extractFrames === true)
      throw new QalignError(
        'USAGE',
        'Frames can only be extracted from clips that are there; name their folder with --media.',
      );
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
      `${file}:${row}: ${name} is not below ${root}; complete the folder, or leave such rows out with --missing skip.`,
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
    throw new QalignError('USAGE', `${spec.title} has pictures: there are no frames to extract.`);
  if (typeof options.out === 'function')
    throw new QalignError('USAGE', 'Extracted frames need a place: name an output folder with --out.');
  const size = options.frameSize ?? 448;
  if (!(Number.isInteger(size) && size >= 14 && size <= 4096))
    throw new QalignError('USAGE', `Frames of ${size} pixels cannot be made; give a whole number from 14 to 4096.`);
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

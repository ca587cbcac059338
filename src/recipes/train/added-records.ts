/** Records that a recipe adds to its training split: rated copies in other shapes, and series of distortions. */
import { orderedMap } from '../../base/ordered-map.js';
import { mulberry32, placeHash, shuffled } from '../../base/random.js';
import type { TrainRecipe } from '../../config/train.js';
import { framesOf } from '../../media/distort/copies.js';
import { BASIC_FAMILIES, type Family } from '../../media/distort/families.js';
import type { MediaLimits } from '../../media/limits.js';
import { kindOfRecord } from '../../media/media-kind.js';
import type { Preparer } from '../../media/preparer.js';
import type { FrameForm } from '../../media/views/views.js';
import {
  addedSeed,
  copiesOf,
  planRated,
  planSeries,
  ratedCopies,
  seriesSettings,
  type SeriesPlan,
} from './copy-plans.js';
import type { SplitWriter, Written } from './record-writer.js';
import type { TrainRecord } from './records.js';

export interface AddRecords {
  readonly writer: SplitWriter;
  /** The records of the split whose pictures were prepared. */
  readonly written: readonly Written[];
  /** Side and views of the frames. */
  readonly form: FrameForm;
  readonly media: Pick<Preparer, 'width' | 'copies'>;
  readonly recipe: TrainRecipe;
  readonly limits: Partial<MediaLimits> | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (what: string, done: number, total: number) => void;
}

/** Adds `data.rated_shapes` copies of each rated picture, with its rating and dataset. */
export async function addRatedCopies(options: AddRecords): Promise<void> {
  const { writer, form, media, recipe, limits, signal, onProgress } = options;
  const copies = ratedCopies(recipe);
  if (copies === 0) return;
  const rated = await picturesOf(
    options,
    ({ mos, level, level_probs: probs }) => (mos ?? level ?? probs) !== undefined,
  );
  const chosen = [...rated.entries()].filter(([place]) => copiesOf(place, copies) > 0);
  const ready = orderedMap(
    chosen,
    media.width,
    async ([place, { record }]) => {
      const plans = planRated(copiesOf(place, copies), placeHash(addedSeed(recipe), place));
      return {
        record,
        frames: split(await media.copies(record.media, plans, { ...form, limits, signal }), plans.length),
      };
    },
    signal,
  );
  let done = 0;
  for await (const { record, frames } of ready) {
    for (const [copy, data] of frames.entries())
      await writer.add({ ...record, id: `${record.id}#shape-${copy + 1}` }, { data, frames: 1 });
    onProgress('copies', ++done, chosen.length);
  }
}

/**
 * Adds series of distortions of rated pictures, as records without ratings. The first item of a series is the picture
 * itself, or its undistorted copy on a screen or in another shape.
 */
export async function addSeries(options: AddRecords): Promise<void> {
  const { form, media, recipe, limits, signal, onProgress } = options;
  const settings = seriesSettings(recipe);
  if (settings === null) return;
  const rated = await picturesOf(options, ({ mos }) => mos !== undefined);
  const chosen =
    settings.choose === 'any'
      ? shuffled(rated, mulberry32(placeHash(addedSeed(recipe), rated.length)))
      : rated.sort((a, b) => (b.record.mos ?? 0) - (a.record.mos ?? 0));
  const pictures = chosen.slice(0, settings.pictures);
  const ready = orderedMap(
    pictures.entries(),
    media.width,
    async ([place, from]) => {
      const plans = planSeries(settings, addedSeed(recipe) * 1_000_003 + place);
      return { from, plans, data: await media.copies(from.record.media, plans, { ...form, limits, signal }) };
    },
    signal,
  );
  let done = 0;
  for await (const { from, plans, data } of ready) {
    const frames = split(
      data,
      plans.reduce((sum, plan) => sum + framesOf(plan), 0),
    );
    for (const plan of plans) await addOne(options.writer, from, plan, frames.splice(0, framesOf(plan)));
    onProgress('distortions', ++done, pictures.length);
  }
}

async function addOne(
  writer: SplitWriter,
  { record, firstFrame }: Written,
  plan: SeriesPlan,
  frames: Uint8Array[],
): Promise<void> {
  if (!isBasic(plan.family) && hasEqualNeighbours(frames)) return;
  const series = `${record.id}#${plan.family}`;
  const { mos: _, mos_std: _std, level_probs: _probs, ...unrated } = record;
  const member = (order: number): TrainRecord => ({
    ...unrated,
    dataset: 'distortions',
    id: `${series}-${order}`,
    series,
    order,
  });
  if (!plan.own) writer.addRow(member(0), firstFrame, 1);
  for (const [order, data] of frames.entries())
    await writer.add(member(order + Number(!plan.own)), { data, frames: 1 });
}

const isBasic = (family: Family): boolean => (BASIC_FAMILIES as readonly Family[]).includes(family);

/** A step without effect, such as more saturation of a grey picture, must not be taught as worse. */
const hasEqualNeighbours = (frames: readonly Uint8Array[]): boolean =>
  frames.some((frame, i) => i > 0 && Buffer.from(frame).equals(frames[i - 1]!));

/** The written pictures outside a series that `fits`, without clips. */
async function picturesOf(
  { written, media, limits }: AddRecords,
  fits: (record: TrainRecord) => boolean,
): Promise<Written[]> {
  const found: Written[] = [];
  const candidates = written.filter(({ record }) => record.series === undefined && fits(record));
  for await (const [entry, kind] of orderedMap(
    candidates,
    media.width,
    async (entry) => [entry, await kindOfRecord(entry.record, limits?.within)] as const,
  ))
    if (kind === 'image') found.push(entry);
  return found;
}

/** Views of `count` frames of equal size. */
function split(data: Uint8Array, count: number): Uint8Array[] {
  const bytes = data.length / Math.max(1, count);
  return Array.from({ length: count }, (_, i) => data.subarray(i * bytes, (i + 1) * bytes));
}

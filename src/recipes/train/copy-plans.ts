/** Plans of the frames that a recipe adds to its training pictures: distortion series, and rated copies. Pure. */
import { mulberry32, placeHash, shuffled } from '../../base/random.js';
import type { TrainRecipe } from '../../config/train.js';
import type { CopyPlan } from '../../media/distort/copies.js';
import { BASIC_FAMILIES, DISTORTIONS_VERSION, strengthAt, type Family } from '../../media/distort/families.js';

/** Number of distorted steps in a series, in addition to the picture itself. */
export const STEPS = 4;

export type SeriesSettings = NonNullable<TrainRecipe['data']['distortions']>;

/** A series of distortions of one family. If `own` is false, its first picture is the training picture itself. */
export interface SeriesPlan extends CopyPlan {
  readonly family: Family;
}

const DEFAULTS: Omit<SeriesSettings, 'pictures'> = {
  families: [...BASIC_FAMILIES],
  per_picture: null,
  choose: 'best',
  shapes: false,
  screens: 0,
};

/** The settings of a recipe. Stored recipes of earlier versions have only `pictures`. */
export const seriesSettings = ({ data }: TrainRecipe): SeriesSettings | null =>
  data.distortions === null ? null : { ...DEFAULTS, ...data.distortions };

/** Keys that stored recipes of earlier versions do not have. */
type LaterKeys = Partial<Pick<TrainRecipe['data'], 'rated_shapes' | 'added_seed' | 'leave_out'>>;

/** Number of copies of each rated picture; a fraction counts copies of some of the pictures. */
export const ratedCopies = ({ data }: TrainRecipe): number => (data as LaterKeys).rated_shapes ?? 0;

/** Families whose series are prepared but not used. */
export const leftOut = ({ data }: TrainRecipe): readonly Family[] => (data as LaterKeys).leave_out ?? [];

/** Seed of everything that a recipe adds to its training pictures. */
export const addedSeed = ({ data, seed }: TrainRecipe): number => (data as LaterKeys).added_seed ?? seed;

/** The settings as earlier versions stored them, if nothing else is set. */
function withoutDefaults(settings: SeriesSettings): object {
  const { pictures, ...others } = settings;
  return JSON.stringify(others) === JSON.stringify(DEFAULTS) ? { pictures } : { ...settings, DISTORTIONS_VERSION };
}

/**
 * What the added frames depend on, besides the pictures. Recipes of earlier versions have the same inputs as then, so
 * that their prepared data are found.
 */
export function copyInputs(recipe: TrainRecipe): { readonly series: unknown[]; readonly rated: unknown[] } {
  const settings = seriesSettings(recipe);
  const copies = ratedCopies(recipe);
  return {
    series: settings === null ? [null, 0] : [withoutDefaults(settings), addedSeed(recipe)],
    rated: copies === 0 ? [] : [{ rated_shapes: copies, seed: addedSeed(recipe) }],
  };
}

/**
 * Plans the series of a picture. Strengths are random, one from each of STEPS equal parts of the range, so that
 * training covers all strengths.
 */
export function planSeries(settings: SeriesSettings, seed: number): SeriesPlan[] {
  const { families, per_picture: some, shapes, screens } = settings;
  const draw = mulberry32(seed);
  const chosen = some === null ? families : shuffled(families, mulberry32(placeHash(seed, 0))).slice(0, some);
  return chosen.map((family, number) => {
    const look = mulberry32(placeHash(seed, 1 + number));
    const [isOnScreen, screen] = [look() < screens, Math.floor(look() * 2 ** 32)];
    return {
      family,
      shape: shapes ? { draw: 'series', seed: Math.floor(look() * 2 ** 32) } : undefined,
      screen: isOnScreen ? screen : undefined,
      own: shapes || isOnScreen,
      distortions: Array.from({ length: STEPS }, (_, step) => ({
        family,
        strength: strengthAt(family, (step + draw()) / STEPS),
        seed: seed * families.length + number,
        among: families,
      })),
    };
  });
}

/** Number of copies of picture `place` of all rated pictures. A fraction is divided evenly over the pictures. */
export const copiesOf = (place: number, copies: number): number =>
  Math.floor((place + 1) * copies) - Math.floor(place * copies);

/** Plans `count` copies of a rated picture in drawn shapes and sizes. */
export const planRated = (count: number, seed: number): CopyPlan[] =>
  Array.from({ length: count }, (_, copy) => ({
    shape: { draw: 'rated', seed: placeHash(seed, copy) },
    own: true,
    distortions: [],
  }));

/** Largest number of series that a recipe makes of `records` training pictures. */
function seriesCount(records: number, recipe: TrainRecipe): number {
  const settings = seriesSettings(recipe);
  if (settings === null) return 0;
  const { families, per_picture: some, pictures } = settings;
  return Math.min(records, pictures) * Math.min(some ?? families.length, families.length);
}

/** Largest number of items in these series. */
export const seriesItems = (records: number, recipe: TrainRecipe): number => seriesCount(records, recipe) * (STEPS + 1);

/** Largest number of frames that a recipe adds to `records` training pictures. */
export function addedFrames(records: number, recipe: TrainRecipe): number {
  const { shapes, screens } = seriesSettings(recipe) ?? { shapes: false, screens: 0 };
  const series = seriesCount(records, recipe) * (STEPS + Number(shapes || screens > 0));
  return Math.ceil(records * ratedCopies(recipe)) + series;
}

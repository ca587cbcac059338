import Type, { type Static } from 'typebox';
import { MAP_LIMITS, type MapOptions } from '../scoring/quality-map.js';
import { closed } from './error.js';

const edge = (description: string) => Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1, description });

/** Scores of the windows of a picture. Each is the score that the window would have as a picture. */
export const QualityMapSchema = Type.Object(
  {
    scores_of: Type.Literal('windows', {
      description: 'each value is the score of a window, had it been the whole picture',
    }),
    window: Type.Integer({ minimum: 1, description: 'side of a window in pixels of the picture' }),
    xs: edge('left edges of the columns of windows, in pixels of the picture'),
    ys: edge('upper edges of the rows of windows, in pixels of the picture'),
    values: Type.Array(Type.Number(), {
      minItems: 1,
      description: 'scores on scale, without calibration: a value for each pair of ys and xs, row by row from the top',
    }),
    median: Type.Number({
      description:
        'median of values, with which they are compared; for an even count the mean of the two middle values',
    }),
    warnings: Type.Array(Type.String(), {
      description: 'reasons why the map is doubtful, as sentences; they do not concern the score of the picture',
    }),
  },
  { ...closed, description: 'scores of the windows of a picture, with --map. The score does not depend on them' },
);
export interface QualityMap extends Static<typeof QualityMapSchema> {}

const pixels = ({ least, most }: { readonly least: number; readonly most: number }, description: string) =>
  Type.Optional(Type.Integer({ minimum: least, maximum: most, description }));

/** Settings of a request for maps. They are flat, so that a form and a query can have them. */
export const MapSettings = {
  map: Type.Optional(
    Type.Boolean({
      description:
        'true: pictures also get a quality map, which costs one score for each window. Clips have no map (default: false)',
    }),
  ),
  map_window: pixels(
    MAP_LIMITS.window,
    'side of a window of the map in pixels (default: the input size of the model times its views). Needs map',
  ),
  map_stride: pixels(
    MAP_LIMITS.stride,
    'pixels from one window to the next (default: half the side of a window). Needs map',
  ),
  map_max: pixels(
    MAP_LIMITS.max,
    'maximum number of windows of a picture; with more, the stride is increased (default: 144). Needs map',
  ),
};

interface MapSettings {
  readonly map?: boolean;
  readonly map_window?: number;
  readonly map_stride?: number;
  readonly map_max?: number;
}

/** The options of the map of a request; undefined without a map. */
export function mapOptionsOf({ map, map_window, map_stride, map_max }: MapSettings): MapOptions | undefined {
  return map === true ? { window: map_window, stride: map_stride, max: map_max } : undefined;
}

/** A setting of the map in a request without a map; undefined if there is none. */
export function strayMapSetting(settings: MapSettings): string | undefined {
  if (settings.map === true) return undefined;
  return (['map_window', 'map_stride', 'map_max'] as const).find((name) => settings[name] !== undefined);
}

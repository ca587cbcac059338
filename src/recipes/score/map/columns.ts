import type { QualityMap } from '../../../api/quality-map.js';
import { isFailure, type ScoreOutcome } from '../../../api/result.js';
import { lowestWindow } from '../../../scoring/quality-map.js';
import { compactMap } from '../layout/compact.js';
import type { Column } from '../layout/column.js';
import type { ResultLayout } from '../layout/layout.js';
import type { Cells } from '../result-csv.js';

/** Columns at the end of tables with maps: the lowest window, its left upper corner, and the median. */
export const MAP_COLUMNS: readonly Column[] = [
  { name: 'map_min', type: 'double' },
  { name: 'map_min_x', type: 'integer' },
  { name: 'map_min_y', type: 'integer' },
  { name: 'map_median', type: 'double' },
];
/** The whole map as JSON text, in Parquet. */
const WHOLE: Column = { name: 'map', type: 'text' };

/** Adds the columns of maps to tables. Rows of JSON have their map anyway, and so has a choice of fields. */
export function withMapColumns(layout: ResultLayout): ResultLayout {
  if (layout.kind === 'fields') return layout;
  const isCompact = layout.kind === 'compact';
  const columns = MAP_COLUMNS.map(({ name, type }): Column => {
    return { name, type: isCompact && type === 'double' ? 'float' : type };
  });
  const cellsOfMap = (outcome: ScoreOutcome): Cells =>
    isFailure(outcome) || outcome.map === undefined ? {} : mapCells(isCompact ? compactMap(outcome.map) : outcome.map);
  return {
    ...layout,
    columns: [...layout.columns, ...columns],
    lists: [...layout.lists, WHOLE],
    cellsOf: (outcome) => ({ ...layout.cellsOf(outcome), ...cellsOfMap(outcome) }),
  };
}

function mapCells(map: QualityMap): Cells {
  const { value, x, y } = lowestWindow(map);
  return {
    map_min: value,
    map_min_x: x,
    map_min_y: y,
    map_median: map.median,
    map: JSON.stringify(map),
  };
}

/** Whether a written row has its map, or is of a clip, which has none. Fields are by the names of any layout. */
export function hasMap(fields: Readonly<Record<string, unknown>>): boolean {
  if (fields['kind'] === 'video') return true;
  return Object.entries(fields).some(
    ([name, value]) =>
      (name === 'map' || name.startsWith('map.') || name.startsWith('map_')) && value !== null && value !== undefined,
  );
}

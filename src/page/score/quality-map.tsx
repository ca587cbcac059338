import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { QualityMap } from '../../api/quality-map.js';
import type { ScoreResult } from '../../api/result.js';
import { mapAreas, mapColour } from '../../report/map-overlay.js';
import { BOUNDS, lowestWindow, mapRange, planWindows } from '../../scoring/quality-map.js';
import { scoreText, whole } from '../parts/format.js';
import { Warning } from '../parts/warning.js';
import { askForMap, chosen, maps, opacity, saveMapJson, saveMapPng } from './map-store.js';
import { resultOf, type Row } from './rows.js';

/** The finished map of a row; undefined before it is requested. */
export function mapOf({ id }: Row): QualityMap | undefined {
  const found = maps.value.get(id);
  return found?.state === 'done' ? found.map : undefined;
}

/** The map over its picture. The arrow keys choose a window; the sentence below the picture gives its score. */
export function MapLayer({ row }: { readonly row: Row }): JSX.Element | null {
  const [map, result] = [mapOf(row), resultOf(row)];
  if (map === undefined || result === undefined) return null;
  const { width, height, scale } = result;
  const at = chosen.value ?? indexOfLowest(map);
  const [x, y] = cornerOf(map, at);
  const onKey = (event: KeyboardEvent): void => {
    const next = neighbour(map, chosen.peek() ?? indexOfLowest(map), event.key);
    if (next === undefined) return;
    event.preventDefault();
    chosen.value = next;
  };
  return (
    <svg
      class="map-layer"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="group"
      aria-label="Quality map. The arrow keys choose a window."
      aria-describedby="map-window"
      tabindex={0}
      onKeyDown={onKey}
    >
      <g opacity={opacity.value / 100}>
        {mapAreas(map, mapRange(map, scale)).map((area, i) => (
          <rect
            key={i}
            x={area.left}
            y={area.top}
            width={area.width}
            height={area.height}
            fill={area.colour}
            onPointerMove={({ movementX, movementY }) => {
              // without movement the layout changed under the pointer
              if (movementX !== 0 || movementY !== 0) chosen.value = i;
            }}
          />
        ))}
      </g>
      {['map-frame', 'map-frame map-frame-dashed'].map((name) => (
        <rect key={name} class={name} x={x} y={y} width={map.window} height={map.window} />
      ))}
    </svg>
  );
}

/** The button for a map and, when it is done, its slider, legend, warnings and table. */
export function MapPanel({ row }: { readonly row: Row }): JSX.Element | null {
  const [found, result] = [maps.value.get(row.id), resultOf(row)];
  useEffect(() => void (chosen.value = undefined), [row.id]);
  if (result === undefined || result.kind !== 'image') return null;
  if (found?.state === 'done') return <FinishedMap row={row} result={result} map={found.map} />;
  const { xs, ys } = planWindows(result.width, result.height, result.preprocessing.size);
  const cost = `${whole(xs.length * ys.length)} windows, each as much work as a picture`;
  return (
    <section class="map-panel" aria-label="Quality map">
      <div class="actions">
        {found?.state === 'asked' ? (
          <button type="button" onClick={found.stop}>
            Cancel the map
          </button>
        ) : (
          <button type="button" onClick={() => void askForMap(row, result)}>
            Quality map
          </button>
        )}
        <span class="soft" role="status">
          {found?.state === 'asked' ? `Scoring ${cost}.` : cost}
        </span>
      </div>
      {found?.state === 'failed' && (
        <p class="problem" role="alert">
          {found.message}
        </p>
      )}
    </section>
  );
}

interface Finished {
  readonly row: Row;
  readonly result: ScoreResult;
  readonly map: QualityMap;
}

function FinishedMap({ row, result, map }: Finished): JSX.Element {
  const { scale } = result;
  const picture = (): HTMLImageElement | undefined =>
    document.querySelector<HTMLImageElement>('.picture img') ?? undefined;
  return (
    <section class="map-panel" aria-label="Quality map">
      <div class="map-tools">
        <label>
          Opacity of the map
          <input
            type="range"
            min="0"
            max="100"
            step="5"
            value={opacity.value}
            onInput={(event) => (opacity.value = Number(event.currentTarget.value))}
          />
          <span class="n"> {opacity.value} %</span>
        </label>
        <MapLegend map={map} scale={scale} />
      </div>
      <p id="map-window" role="status">
        {inWords(map, chosen.value ?? indexOfLowest(map), scale)}
      </p>
      <p class="soft">
        A value is the score of this window, had it been the whole picture. Compare windows with each other, not with
        the score of the picture.
      </p>
      {map.warnings.map((text) => (
        <Warning key={text} text={`${text[0]?.toUpperCase()}${text.slice(1)}.`} />
      ))}
      <div class="actions">
        <button type="button" onClick={() => saveMapJson(row, result, map)}>
          Map as JSON
        </button>
        <button type="button" onClick={() => void saveMapPng(row, result, map, picture())}>
          Map as PNG
        </button>
      </div>
      <details>
        <summary>Map as a table</summary>
        <MapTable map={map} scale={scale} />
      </details>
    </section>
  );
}

const SWATCHES = 21;

function MapLegend({ map, scale }: Pick<Finished, 'map'> & { readonly scale: ScoreResult['scale'] }): JSX.Element {
  const [range, bounds] = [mapRange(map, scale), BOUNDS[scale]];
  const [low, high] = [Math.max(bounds[0], map.median - range), Math.min(bounds[1], map.median + range)];
  return (
    <div class="map-legend">
      <svg viewBox={`0 0 ${SWATCHES} 1`} preserveAspectRatio="none" aria-hidden="true">
        {Array.from({ length: SWATCHES }, (_, i) => {
          const difference = low + ((high - low) * i) / (SWATCHES - 1) - map.median;
          return <rect key={i} x={i} width="1.05" height="1" fill={mapColour(difference, range)} />;
        })}
      </svg>
      <p class="n">
        <span>{scoreText(low, scale)}</span>
        <span>median {scoreText(map.median, scale)}</span>
        <span>{scoreText(high, scale)}</span>
      </p>
    </div>
  );
}

function MapTable({ map, scale }: Pick<Finished, 'map'> & { readonly scale: ScoreResult['scale'] }): JSX.Element {
  return (
    <div class="map-table" tabIndex={0} role="region" aria-label="Scores of the windows">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">top \ left</th>
            {map.xs.map((x) => (
              <th key={x} scope="col" class="n">
                {x}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {map.ys.map((y, row) => (
            <tr key={y}>
              <th scope="row" class="n">
                {y}
              </th>
              {map.xs.map((x, column) => (
                <td key={x} class="n">
                  {scoreText(map.values[row * map.xs.length + column]!, scale)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function indexOfLowest(map: QualityMap): number {
  return map.values.indexOf(lowestWindow(map).value);
}

const cornerOf = ({ xs, ys }: QualityMap, at: number): [number, number] => [
  xs[at % xs.length]!,
  ys[Math.floor(at / xs.length)]!,
];

/** The window beside another in the direction of an arrow key; undefined for another key or at the edge. */
export function neighbour({ xs, ys }: Pick<QualityMap, 'xs' | 'ys'>, at: number, key: string): number | undefined {
  const [column, row] = [at % xs.length, Math.floor(at / xs.length)];
  if (key === 'ArrowLeft' && column > 0) return at - 1;
  if (key === 'ArrowRight' && column < xs.length - 1) return at + 1;
  if (key === 'ArrowUp' && row > 0) return at - xs.length;
  if (key === 'ArrowDown' && row < ys.length - 1) return at + xs.length;
  return undefined;
}

/** A window and its score as a sentence. */
export function inWords(map: QualityMap, at: number, scale: ScoreResult['scale']): string {
  const [x, y] = cornerOf(map, at);
  const value = map.values[at]!;
  const difference = value - map.median;
  const compared =
    scoreText(Math.abs(difference), scale) === scoreText(0, scale)
      ? 'equal to the median'
      : `${scoreText(Math.abs(difference), scale)} ${difference < 0 ? 'below' : 'above'} the median`;
  const lowest = at === indexOfLowest(map) ? ', the lowest window' : '';
  return `${scoreText(value, scale)}, ${compared}${lowest}: ${map.window} × ${map.window} pixels at x ${x}, y ${y}.`;
}

import { signal } from '@preact/signals';
import type { QualityMap } from '../../api/quality-map.js';
import type { ScoreResult } from '../../api/result.js';
import type { ClientItem } from '../../client/client.js';
import { mapAreas } from '../../report/map-overlay.js';
import { mapRange, type MapOptions } from '../../scoring/quality-map.js';
import { scoreText, save } from '../parts/format.js';
import { client, explain } from '../session.js';
import { resultOf, type Row } from './rows.js';

/** The map of a row: being computed, done, or failed. */
export type MapState =
  | { readonly state: 'asked'; readonly stop: () => void }
  | { readonly state: 'done'; readonly map: QualityMap }
  | { readonly state: 'failed'; readonly message: string };

/** Maps by the number of their row. They stay until the tab is closed. */
export const maps = signal<ReadonlyMap<number, MapState>>(new Map());
/** Opacity of every map over its picture, in percent. */
export const opacity = signal(55);
/** Index of the window whose score is shown in words; undefined: the lowest. */
export const chosen = signal<number | undefined>(undefined);

function set(id: number, state: MapState | undefined): void {
  const next = new Map(maps.peek());
  if (state === undefined) next.delete(id);
  else next.set(id, state);
  maps.value = next;
}

/** Requests the map of a scored row with the settings of its score. */
export async function askForMap(row: Row, result: ScoreResult, options: MapOptions = {}): Promise<void> {
  const stopping = new AbortController();
  set(row.id, { state: 'asked', stop: () => stopping.abort() });
  const { task, scale, model, prompt } = result;
  const item: ClientItem = row.file === undefined ? (row.source ?? {}) : { data: row.file, name: row.file.name };
  const settings = {
    ...{ tasks: [task], scale, model: model.id, prompt: prompt.name, map: true },
    ...(options.window === undefined ? {} : { map_window: options.window }),
  };
  try {
    const { items } = await client.peek().score([item], settings, { signal: stopping.signal, retries: 3 });
    const outcome = items[0]?.results[0];
    const map = outcome && resultOf({ outcome })?.map;
    if (map !== undefined) return set(row.id, { state: 'done', map });
    const message = outcome !== undefined && 'error' in outcome ? outcome.error.message : 'The answer has no map.';
    set(row.id, { state: 'failed', message });
  } catch (error) {
    set(row.id, stopping.signal.aborted ? undefined : { state: 'failed', message: explain(error) });
  }
}

const stemOf = ({ name }: Row): string => (name.split(/[\\/]/).at(-1) ?? name).replace(/\.[^.]*$/, '');

export function saveMapJson(
  row: Row,
  { input, task, scale, width, height, score, model }: ScoreResult,
  map: QualityMap,
): void {
  const text = JSON.stringify({ input, task, scale, width, height, score, model, map }, null, 2);
  save(`${stemOf(row)}-map.json`, 'application/json', `${text}\n`);
}

const MOST_SIDE = 1600;

/** Saves the shown picture with the map over it and a legend. */
export async function saveMapPng(
  row: Row,
  { width, height, scale }: ScoreResult,
  map: QualityMap,
  picture: HTMLImageElement | undefined,
): Promise<void> {
  const factor = Math.min(1, MOST_SIDE / Math.max(width, height));
  const [right, bottom] = [Math.round(width * factor), Math.round(height * factor)];
  const canvas = document.createElement('canvas');
  canvas.width = right;
  canvas.height = bottom + 40;
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (picture !== undefined) context.drawImage(picture, 0, 0, right, bottom);
  context.globalAlpha = opacity.peek() / 100;
  for (const area of mapAreas(map, mapRange(map, scale))) {
    context.fillStyle = area.colour;
    context.fillRect(area.left * factor, area.top * factor, area.width * factor, area.height * factor);
  }
  context.globalAlpha = 1;
  context.fillStyle = '#1d2330';
  context.font = '16px sans-serif';
  const least = Math.min(...map.values);
  const text = `lowest ${scoreText(least, scale)}, median ${scoreText(map.median, scale)}, windows of ${map.window} px; orange: below the median`;
  context.fillText(text, 10, bottom + 26, right - 20);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (blob !== null) save(`${stemOf(row)}-map.png`, 'image/png', blob);
}

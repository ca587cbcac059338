import { csvCell } from './csv.js';
import { escape } from './escape.js';
import { LIGHT } from './style.js';

/** The data of a figure that can be saved. */
export interface FigureData {
  /** The name of the saved files, without extension. */
  readonly name: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

/** A picture or plot with a caption. `content` is HTML, `caption` is text. With `data`, the figure can be saved. */
export function figure(content: string, caption: string, data?: FigureData): string {
  return `<figure>${content}<figcaption>${escape(caption)}${data === undefined ? '' : save(content, data)}</figcaption></figure>`;
}

/** Links that save the drawing and its numbers. The files are inside the page, so that no script is needed. */
function save(content: string, { name, head, rows }: FigureData): string {
  const csv = `${[head, ...rows].map((cells) => cells.map(csvCell).join(',')).join('\n')}\n`;
  const link = (ending: string, type: string, text: string): string =>
    `<a download="${escape(name)}.${ending}" href="data:${type};base64,${Buffer.from(text).toString('base64')}">${ending.toUpperCase()}</a>`;
  return `<span class="save">${link('svg', 'image/svg+xml', standalone(content))}${link('csv', 'text/csv;charset=utf-8', csv)}</span>`;
}

/** The drawing as a separate file, with its own colours and fonts and without tooltips. */
function standalone(svg: string): string {
  return svg
    .replaceAll(/<title>.*?<\/title>/g, '')
    .replaceAll(/var\(--(\w+)\)/g, (_, name: string) => LIGHT[name] ?? 'black')
    .replace(
      '>',
      ` style="background:${LIGHT['paper']}"><style>text{font:12.5px sans-serif;fill:${LIGHT['soft']}}.strong{fill:${LIGHT['ink']}}</style>`,
    );
}

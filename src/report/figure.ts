import { escape } from './page.js';
import { LIGHT } from './style.js';

/** What a figure can be saved as. */
export interface FigureData {
  /** Of the files, without ending. */
  readonly name: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

/** A picture or plot with a line under it. `content` is HTML, `caption` is text; with `data` it can be saved. */
export function figure(content: string, caption: string, data?: FigureData): string {
  return `<figure>${content}<figcaption>${escape(caption)}${data === undefined ? '' : save(content, data)}</figcaption></figure>`;
}

/** Links that save the drawing and its numbers: files inside the page, without a script. */
function save(content: string, { name, head, rows }: FigureData): string {
  const csv = `${[head, ...rows].map((cells) => cells.map(csvCell).join(',')).join('\n')}\n`;
  const link = (ending: string, type: string, text: string): string =>
    `<a download="${escape(name)}.${ending}" href="data:${type};base64,${Buffer.from(text).toString('base64')}">${ending.toUpperCase()}</a>`;
  return `<span class="save">${link('svg', 'image/svg+xml', standalone(content))}${link('csv', 'text/csv;charset=utf-8', csv)}</span>`;
}

/** The drawing without the page: colours and fonts in place, without the texts under the pointer. */
function standalone(svg: string): string {
  return svg
    .replaceAll(/<title>.*?<\/title>/g, '')
    .replaceAll(/var\(--(\w+)\)/g, (_, name: string) => LIGHT[name] ?? 'black')
    .replace(
      '>',
      ` style="background:${LIGHT['paper']}"><style>text{font:12.5px sans-serif;fill:${LIGHT['soft']}}.strong{fill:${LIGHT['ink']}}</style>`,
    );
}

function csvCell(value: string | number | null): string {
  const text = value === null ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

import { escape } from './escape.js';
import { withoutFolders } from './shown-path.js';
import { STYLE } from './style.js';

/** How a page was made, and where its data is. */
export interface Origin {
  readonly qalign: string;
  readonly commit: string | null;
  readonly node?: string | undefined;
  /** The command line that made the page; absent if a program made it. */
  readonly command?: string | undefined;
  /** Files with the data, relative to the page. */
  readonly links?: readonly string[] | undefined;
}

export interface PageOptions {
  /** Text. */
  readonly title: string;
  /** HTML. */
  readonly body: string;
  readonly origin?: Origin | undefined;
  /** Absolute folders of the data; paths below a folder are shown relative to it. */
  readonly roots?: readonly string[] | undefined;
  readonly now?: Date | undefined;
}

/** A complete page in one file, without scripts, external resources and absolute paths. */
export function page({ title, body, origin, roots, now = new Date() }: PageOptions): string {
  const sections = withDistinctIds(body);
  const content = `<main>
<h1>${escape(title)}</h1>
${origin === undefined ? '' : made(origin, now)}
${contents(sections)}
${sections}
</main>`;
  // skips data URIs, in which text that looks like a path can occur by chance
  const shown = content
    .split(/("data:[^"]*")/)
    .map((part, i) => (i % 2 === 1 ? part : withoutFolders(part, roots?.map(escape))))
    .join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escape(withoutFolders(title, roots))}</title>
<style>${STYLE}</style>
</head>
<body>
${shown}
</body>
</html>
`;
}

function made({ qalign, commit, node, command, links = [] }: Origin, now: Date): string {
  const when = `${now.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const versions = `qalign ${qalign}${commit === null ? '' : `, commit ${commit.slice(0, 12)}`}${node === undefined ? '' : `, Node ${node}`}`;
  const by = command === undefined ? '' : `<br>Command: <code>${escape(command)}</code>`;
  const data =
    links.length === 0
      ? ''
      : `<br>Data: ${links.map((link) => `<a href="${escape(hrefOf(link))}">${escape(link)}</a>`).join(', ')}`;
  return `<p class="made">Made ${when} by ${escape(versions)}.${by}${data}</p>`;
}

/** A relative path as a URL, escaped so that no part of a name is read as a scheme, a query or a fragment. */
const hrefOf = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** A heading that can be linked to. */
export function heading(level: 2 | 3, text: string): string {
  const id = text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .replaceAll(/^-|-$/g, '');
  return `<h${level} id="${escape(id)}"><a href="#${escape(encodeURIComponent(id))}">${escape(text)}</a></h${level}>`;
}

/** Headings of the same text get numbers: train, train-2. */
function withDistinctIds(body: string): string {
  const seen = new Map<string, number>();
  return body.replaceAll(/<h([23]) id="([^"]*)"><a href="#([^"]*)">/g, (_, level: string, id: string, link: string) => {
    const times = (seen.get(id) ?? 0) + 1;
    seen.set(id, times);
    const end = times === 1 ? '' : `-${times}`;
    return `<h${level} id="${id}${end}"><a href="#${link}${end}">`;
  });
}

/** Links to the sections, or to the subsections if there is only one section. */
function contents(body: string): string {
  const linksOf = (level: 2 | 3): string[] =>
    [...body.matchAll(new RegExp(`<h${level} id="[^"]*">(<a .*?</a>)</h${level}>`, 'g'))].map(
      ([, link]) => `<li>${link}</li>`,
    );
  const sections = linksOf(2);
  const links = sections.length > 1 ? sections : linksOf(3);
  return links.length < 2 ? '' : `<nav aria-label="Contents"><ol>${links.join('')}</ol></nav>`;
}

/** Tables with more columns have a smaller font, so that they fit the page. */
const DENSE_FROM = 9;
/** In tables with more columns, each row becomes a block on narrow screens, so that all columns are visible. */
const STACKED_FROM = 2;

/** A table of texts. Columns whose cells are all numbers or dashes are aligned right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const isNumeric = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[-+−–—±\d.,%\s[\]()e]*$/.test(row[column] ?? '')),
  );
  const stacked = head.length > STACKED_FROM;
  const names = [stacked ? 'stack' : '', head.length > DENSE_FROM ? 'dense' : ''].filter((name) => name !== '');
  const cell = (text: string, column: number): string =>
    `<td class="${isNumeric[column] ? 'n' : 't'}"${stacked ? ` data-head="${escape(head[column] ?? '')}"` : ''}>${escape(text)}</td>`;
  const heads = head.map(
    (text, column) => `<th scope="col"${isNumeric[column] ? ' class="n"' : ''}>${escape(text)}</th>`,
  );
  const top = head.every((text) => text === '') ? '' : `<thead><tr>${heads.join('')}</tr></thead>`;
  return `<div class="wide"><table${names.length === 0 ? '' : ` class="${names.join(' ')}"`}>${top}<tbody>${rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n')}</tbody></table></div>`;
}

/** Figures side by side, as many as fit. */
export function row(...figures: readonly string[]): string {
  return `<div class="row">${figures.join('\n')}</div>`;
}

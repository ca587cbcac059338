/** Pieces of HTML are plain strings; text from outside goes through `escape` first. */
export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** A whole page in one file: no script, nothing fetched. `body` is HTML, `title` is text. */
export function page({ title, body }: { title: string; body: string }): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

/** Tables of more columns are set smaller, to be seen as a whole. */
const DENSE_FROM = 9;

/** A table of texts; columns whose cells are all numbers or dashes stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const isNumeric = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[-+−–—±\d.,%\s[\]()e]*$/.test(row[column] ?? '')),
  );
  const cells = (row: readonly string[], tag: 'th' | 'td'): string =>
    row.map((cell, column) => `<${tag}${isNumeric[column] ? ' class="n"' : ''}>${escape(cell)}</${tag}>`).join('');
  return `<div class="wide"><table${head.length > DENSE_FROM ? ' class="dense"' : ''}><thead><tr>${cells(head, 'th')}</tr></thead><tbody>${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('\n')}</tbody></table></div>`;
}

/** A picture or plot with a line under it. `content` is HTML, `caption` is text. */
export function figure(content: string, caption: string): string {
  return `<figure>${content}<figcaption>${escape(caption)}</figcaption></figure>`;
}

/** Figures side by side, as many as fit. */
export function row(...figures: readonly string[]): string {
  return `<div class="row">${figures.join('\n')}</div>`;
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1d2330;--soft:#5d6678;--line:#d9dde5;--paper:#fff;--panel:#f6f7f9;--mark:#2f6db5;--second:#c2571a;--third:#3b8a5a}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa4b5;--line:#343b48;--paper:#14171d;--panel:#1c2129;--mark:#6ea8e8;--second:#ea9358;--third:#71c294}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;line-height:1.25;margin:0 0 12px}
h2{font-size:19px;margin:34px 0 8px;padding-top:14px;border-top:1px solid var(--line)}
h3{font-size:15px;margin:20px 0 6px}
p{margin:6px 0 10px;max-width:75ch}
.note{background:var(--panel);border-left:3px solid var(--second);padding:9px 13px;max-width:none}
.soft,figcaption{color:var(--soft);font-size:13px}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:8px 0 14px;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);vertical-align:top;white-space:pre}
th{font-weight:600;color:var(--soft);font-size:13px}
table.dense{font-size:13px}
.dense th,.dense td{padding-right:9px}
.dense th{font-size:12px}
.n{text-align:right}
.row{display:flex;flex-wrap:wrap;gap:18px;align-items:flex-start}
figure{margin:8px 0 14px}
.row figure{flex:1 1 0;min-width:min(100%,340px);max-width:460px}
img{max-width:100%}
figcaption{max-width:46ch;margin-top:2px}
svg{display:block;max-width:100%;height:auto}
svg text{font:11px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--soft)}
svg .strong{fill:var(--ink)}
.thumbs{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:14px}
.thumbs figure{margin:0}
.thumbs img{width:100%;height:120px;object-fit:contain;background:var(--panel);display:block}
.thumbs figcaption{overflow-wrap:anywhere}
code{font:13px ui-monospace,monospace}
`;

/** Colours of the light page, which saved drawings also use. */
export const LIGHT: Readonly<Record<string, string>> = {
  ink: '#1d2330',
  soft: '#566074',
  line: '#d9dde5',
  paper: '#ffffff',
  panel: '#f6f7f9',
  mark: '#2f6db5',
  second: '#c2571a',
  third: '#3b8a5a',
  fourth: '#8a4fb0',
  fifth: '#8b6914',
  sixth: '#b8326b',
};
const DARK: Readonly<Record<string, string>> = {
  ink: '#e6e9ef',
  soft: '#a3adbd',
  line: '#343b48',
  paper: '#14171d',
  panel: '#1c2129',
  mark: '#6ea8e8',
  second: '#ea9358',
  third: '#71c294',
  fourth: '#c39ae0',
  fifth: '#d3b45c',
  sixth: '#f08bb0',
};

const variables = (colours: Readonly<Record<string, string>>): string =>
  Object.entries(colours)
    .map(([name, colour]) => `--${name}:${colour}`)
    .join(';');

/** The colours as variables, for reports and for the page of the service. */
export const TOKENS = `:root{color-scheme:light dark;${variables(LIGHT)}}
@media (prefers-color-scheme:dark){:root{${variables(DARK)}}}`;

/** The style of every report: light, dark, narrow and printed. */
export const STYLE = `
${TOKENS}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:break-word}
main{max-width:1280px;margin:0 auto;padding:28px 20px 60px}
a{color:var(--mark)}
h1{font-size:26px;line-height:1.25;margin:0 0 8px;overflow-wrap:anywhere}
h2{font-size:19px;margin:34px 0 8px;padding-top:14px;border-top:1px solid var(--line)}
h3{font-size:15px;margin:20px 0 6px}
:is(h2,h3) a{color:inherit;text-decoration:none}
:is(h2,h3) a:hover::after,:is(h2,h3) a:focus::after{content:" #";color:var(--soft)}
p{margin:6px 0 10px;max-width:75ch}
li{max-width:90ch}
nav ol{display:flex;flex-wrap:wrap;gap:0 18px;list-style:none;margin:10px 0;padding:0}
nav a{display:block;padding:10px 0}
.note{background:var(--panel);border-left:3px solid var(--second);padding:9px 13px;max-width:none}
.soft,figcaption,.made{color:var(--soft);font-size:13px}
.made{max-width:none}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:8px 0 14px;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);vertical-align:top;white-space:pre-line}
th{font-weight:600;color:var(--soft);font-size:13px}
td.t{overflow-wrap:anywhere;max-width:60ch}
td.t:first-child{min-width:6.5em}
table.dense{font-size:13px}
.dense th,.dense td{padding-right:9px}
.dense th{font-size:12px}
.n{text-align:right}
td.n{white-space:pre}
.row{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:18px;align-items:start}
figure{margin:8px 0 14px;min-width:0}
img{max-width:100%}
figcaption{margin-top:4px;max-width:75ch}
svg{display:block;width:100%;max-width:720px;height:auto}
svg text{font:12.5px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--soft)}
svg .strong{fill:var(--ink)}
.save{display:flex;gap:18px}
.save a{font-size:13px;padding:10px 0}
.thumbs{display:grid;grid-template-columns:repeat(auto-fill,minmax(112px,1fr));gap:12px}
.thumbs figure{margin:0}
.thumbs img{width:100%;height:112px;object-fit:contain;background:var(--panel);display:block}
.thumbs figcaption{white-space:pre-line;overflow-wrap:anywhere;font-size:12px;line-height:1.35}
code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
@media (max-width:640px){
main{padding:18px 14px 40px}
.stack,.stack tbody,.stack tr,.stack td{display:block}
.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.stack tr{border:1px solid var(--line);border-radius:6px;padding:6px 12px;margin:0 0 10px}
.stack td{display:grid;grid-template-columns:minmax(0,2fr) minmax(0,3fr);gap:10px;padding:5px 0;text-align:left;white-space:pre-line;overflow-wrap:anywhere}
.stack td:last-child{border-bottom:0}
.stack td::before{content:attr(data-head);color:var(--soft);font-size:13px}
.stack{width:100%}
}
@media print{
:root{${variables(LIGHT)}}
body{font-size:11pt}
main{max-width:none;padding:0}
nav,.save{display:none}
figure,tr,.thumbs figure{break-inside:avoid}
h2,h3{break-after:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
`;

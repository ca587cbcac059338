/**
 * `npx tsx .config/score-picture.ts`: draws docs/images/score.svg, the picture of README, from what `qalign score` prints
 * for the sample pictures. It needs the Python environment and ffmpeg. Run it again when the table or qalign-nano changes.
 */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import type { ScoreResult } from '../src/api/result.js';
import { LEVELS, type Level } from '../src/scoring/levels.js';

const run = promisify(execFile);
const ROOT = new URL('..', import.meta.url).pathname;
const PICTURES = 'test/fixtures/pictures/';
const OUT = 'docs/images/score.svg';

/** One background for light and dark pages, and colours that can be read on it. */
const COLOUR = { back: '#0d1117', edge: '#30363d', text: '#e6edf3', faint: '#9da7b3', track: '#21262d' };
const LEVEL_COLOUR: Readonly<Record<Level, string>> = {
  excellent: '#3fb950',
  good: '#56d364',
  fair: '#e3b341',
  poor: '#ff7b72',
  bad: '#f85149',
};
const STYLE: Readonly<Record<string, string>> = {
  '31': LEVEL_COLOUR.poor,
  '32': LEVEL_COLOUR.good,
  '33': LEVEL_COLOUR.fair,
};

const WIDTH = 880;
const MARGIN = 24;
const LINE = 21;
const CHARACTER = 8.4;
const GAP = 16;

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

async function qalign(...words: string[]): Promise<string> {
  return (await run('npx', ['tsx', 'src/cli/main.ts', 'score', PICTURES, ...words], { cwd: ROOT })).stdout;
}

/** A line with escape sequences of colours as one SVG text, each character in its cell. */
function terminalLine(line: string, y: number): string {
  let column = 0;
  let style = '';
  const parts: string[] = [];
  // eslint-disable-next-line no-control-regex
  for (const part of line.split(/(\u001b\[[\d;]*m)/)) {
    // eslint-disable-next-line no-control-regex
    const code = /^\u001b\[([\d;]*)m$/.exec(part)?.[1];
    if (code !== undefined) {
      const fill = STYLE[code.split(';').at(-1) ?? ''];
      style = code.startsWith('1') ? ' font-weight="bold"' : fill === undefined ? '' : ` fill="${fill}"`;
    } else if (part !== '') {
      const width = (part.length * CHARACTER).toFixed(1);
      const x = (MARGIN + column * CHARACTER).toFixed(1);
      parts.push(`<tspan x="${x}" textLength="${width}" lengthAdjust="spacing"${style}>${escape(part)}</tspan>`);
      column += part.length;
    }
  }
  return `<text y="${y}" xml:space="preserve">${parts.join('')}</text>`;
}

async function thumbnail(path: string, width: number, height: number): Promise<string> {
  const isClip = path.endsWith('.mp4');
  const frame = ['-v', 'error', '-i', join(ROOT, path), '-frames:v', '1', '-f', 'image2pipe', '-c:v', 'png', '-'];
  const input = isClip
    ? (await run('ffmpeg', frame, { encoding: 'buffer', maxBuffer: 2 ** 26 })).stdout
    : join(ROOT, path);
  const jpeg = await sharp(input).resize(width, height).jpeg({ quality: 70, mozjpeg: true }).toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

/** A picture with its score and a bar for the probability of each level. */
async function card(row: ScoreResult, x: number, y: number, width: number): Promise<string> {
  const height = Math.round(width * 0.7);
  const name = row.input.slice(PICTURES.length);
  const bars = LEVELS.map((level, i) => {
    const top = y + height + 52 + i * 17;
    const share = row.level_probs[level];
    const track = width - 68;
    return `<text x="${x}" y="${top}" font-size="11" fill="${COLOUR.faint}">${level}</text><rect x="${x + 68}" y="${top - 8}" width="${track}" height="8" rx="2" fill="${COLOUR.track}"/><rect x="${x + 68}" y="${top - 8}" width="${(share * track).toFixed(1)}" height="8" rx="2" fill="${LEVEL_COLOUR[level]}"/>`;
  });
  return `<image x="${x}" y="${y}" width="${width}" height="${height}" href="${await thumbnail(row.input, width, height)}"/>
<text x="${x}" y="${y + height + 22}" fill="${COLOUR.text}" font-weight="bold">${row.score.toFixed(2)}</text><text x="${x + width}" y="${y + height + 22}" text-anchor="end" font-size="12" fill="${COLOUR.faint}">${escape(name)}</text>
${bars.join('\n')}`;
}

const table = await qalign('--format', 'table', '--color', 'always');
const rows = (await qalign('--format', 'jsonl', '--quiet')).trim().split('\n');
const lines = [`$ qalign score ${PICTURES}`, ...table.trimEnd().split('\n')];
const cardsTop = MARGIN + lines.length * LINE + 18;
const cardWidth = Math.floor((WIDTH - 2 * MARGIN - (rows.length - 1) * GAP) / rows.length);
const cards = await Promise.all(
  rows.map((line, i) => card(JSON.parse(line) as ScoreResult, MARGIN + i * (cardWidth + GAP), cardsTop, cardWidth)),
);
const height = cardsTop + Math.round(cardWidth * 0.7) + 52 + 17 * LEVELS.length + 4;
await writeFile(
  join(ROOT, OUT),
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="${COLOUR.text}">
<title>qalign score: sample pictures with score, level and level probabilities</title>
<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8" fill="${COLOUR.back}" stroke="${COLOUR.edge}"/>
${lines.map((line, i) => terminalLine(line, MARGIN + 6 + i * LINE)).join('\n')}
${cards.join('\n')}
</svg>
`,
);
console.log(`wrote ${OUT}`);

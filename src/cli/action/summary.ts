import { isFailure, type ScoreFailure, type ScoreOutcome, type ScoreResult } from '../../api/result.js';
import { visible } from '../terminal/visible.js';

/** The figures of a run that become outputs of the action. */
export interface Figures {
  /** Inputs with a score. */
  readonly count: number;
  /** Inputs without one. */
  readonly failed: number;
  /** Inputs with a score below the limit. */
  readonly below: number;
  /** Mean of all scores; undefined without scores. */
  readonly mean: number | undefined;
  readonly lowest: number | undefined;
}

const MOST_ROWS = 500;
/** Size limit of each of the two tables: GitHub refuses a summary over 1 MiB. */
const MOST_BYTES = 400_000;

export function figuresOf(outcomes: readonly ScoreOutcome[], failBelow: number | undefined): Figures {
  const scores = outcomes.filter(isScore);
  const failures = outcomes.filter(isFailure);
  const low = scores.filter(({ score }) => isLow(score, failBelow));
  const values = scores.map(({ score }) => score);
  const inputs = (rows: readonly ScoreOutcome[]): number => new Set(rows.map(keyOf)).size;
  return {
    count: inputs(scores),
    failed: inputs(failures),
    below: inputs(low),
    mean: values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length,
    lowest: values.length === 0 ? undefined : values.reduce((least, value) => Math.min(least, value)),
  };
}

const isScore = (outcome: ScoreOutcome): outcome is ScoreResult => !isFailure(outcome);
const keyOf = ({ input, input_base64 }: ScoreOutcome): string => input_base64 ?? `=${input}`;
const isLow = (score: number, failBelow: number | undefined): boolean => failBelow !== undefined && score < failBelow;

/** The figures as one line: `12 scored, 1 failed, 2 under 2.5, mean 3.10, lowest 1.98`. */
export function figuresLine({ count, failed, below, mean, lowest }: Figures, failBelow: number | undefined): string {
  return [
    `${count} scored`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(failBelow === undefined ? [] : [`${below} under ${failBelow}`]),
    ...(mean === undefined ? [] : [`mean ${mean.toFixed(2)}`]),
    ...(lowest === undefined ? [] : [`lowest ${lowest.toFixed(2)}`]),
  ].join(', ');
}

export interface SummaryParts {
  readonly outcomes: readonly ScoreOutcome[];
  readonly failBelow: number | undefined;
  readonly model: string;
}

/**
 * The summary of a run. Tables are HTML, because a cell of a Markdown table cannot hold every name. In an HTML block,
 * text is not Markdown, and does not become a link or a mention. No line is empty, because that would end the block.
 */
export function summaryOf({ outcomes, failBelow, model }: SummaryParts): string {
  const scores = outcomes.filter(isScore).sort((a, b) => a.score - b.score);
  const line = `${figuresLine(figuresOf(outcomes, failBelow), failBelow)}; model ${model}.`;
  return summaryText([line], [failureTable(outcomes.filter(isFailure)), scoreTable(scores, failBelow)]);
}

/** A summary of sentences, followed by tables. */
export function summaryText(sentences: readonly string[], tables: readonly string[] = []): string {
  const paragraphs = sentences.map((sentence) => `<p>${escaped(sentence)}</p>`);
  return ['### Picture scores', ...paragraphs, ...tables.filter((table) => table !== '')].join('\n\n') + '\n\n';
}

function scoreTable(scores: readonly ScoreResult[], failBelow: number | undefined): string {
  const rows = scores
    .slice(0, MOST_ROWS)
    .map(({ input, task, score, level, warnings }) => [
      code(input),
      task,
      score.toFixed(2),
      level,
      [...(isLow(score, failBelow) ? [`<b>under ${failBelow}</b>`] : []), ...warnings.map(escaped)].join('; '),
    ]);
  return table(['file', 'task', 'score', 'level', 'remark'], rows, scores.length);
}

function failureTable(failures: readonly ScoreFailure[]): string {
  const rows = failures
    .slice(0, MOST_ROWS)
    .map(({ input, task, error }) => [code(input), task, escaped(`${error.message} [${error.code}]`)]);
  return table(['file', 'task', 'failure'], rows, failures.length);
}

function table(head: readonly string[], rows: readonly (readonly string[])[], total: number): string {
  if (rows.length === 0) return '';
  const line = (cells: readonly string[], tag: 'th' | 'td'): string =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  const lines = fitting(rows.map((cells) => line(cells, 'td')));
  const left = total - lines.length;
  const more = left === 0 ? [] : [`<tr><td colspan="${head.length}">${left} more in the results file</td></tr>`];
  return ['<table>', line(head, 'th'), ...lines, ...more, '</table>'].join('\n');
}

/** The first lines that fit into MOST_BYTES; names and messages can be long. */
function fitting(lines: readonly string[]): readonly string[] {
  let bytes = 0;
  const end = lines.findIndex((line) => (bytes += Buffer.byteLength(line) + 1) > MOST_BYTES);
  return end < 0 ? lines : lines.slice(0, end);
}

const code = (name: string): string => `<code>${escaped(name)}</code>`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes HTML, and shows control characters so that a name stays on its line. */
function escaped(text: string): string {
  return visible(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

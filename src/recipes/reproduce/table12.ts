import { basename } from 'node:path';
import { DEFAULT_MODEL } from '../../config/models.js';
import { QalignError } from '../../base/errors.js';
import { thumbnail } from '../../media/thumbnail.js';
import { figure } from '../../report/figure.js';
import { escape } from '../../report/escape.js';
import { heading, row } from '../../report/page.js';
import { bars } from '../../report/plots.js';
import { decimal } from '../../report/text.js';
import { byLevel, LEVELS, LEVEL_VALUES } from '../../scoring/levels.js';
import { isFailure, type ScoreResult } from '../../api/result.js';
import { readablePictures } from './pictures.js';
import { createScorer } from '../score/create-scorer.js';
import type { ReproducedRow, ReproducedTable, ReproduceOptions } from './table.js';

const PICTURES = 6;
/** From low to high, like the score. */
const RISING = [...LEVELS].reverse();
const VALUE = byLevel(LEVEL_VALUES.mos5);

/** Shows the computation of a score: five logits, their softmax and the weighted sum (Eq. 3 and 4). */
export async function table12(options: ReproduceOptions): Promise<ReproducedTable> {
  const model = options.model ?? DEFAULT_MODEL;
  await using scorer = await createScorer({
    model,
    device: options.device,
    log: options.log,
    signal: options.signal,
    onProgress: (message) => options.onProgress?.(message),
  });
  const rows: ReproducedRow[] = [];
  const sections: string[] = [];
  const { pictures, notes } = await readablePictures(options.media, PICTURES);
  for (const path of pictures) {
    const [outcome] = await scorer.score({ input: path, kind: 'image', media: path });
    if (outcome === undefined || isFailure(outcome))
      throw new QalignError(
        'EVALUATION_FAILED',
        `${path} could not be scored: ${outcome?.error.message ?? 'the scorer returned no outcome'}`,
      );
    rows.push({
      picture: basename(outcome.input),
      ...Object.fromEntries(
        RISING.flatMap((level) => [
          [`logit ${level}`, outcome.logits[level]],
          [`p ${level}`, outcome.level_probs[level]],
        ]),
      ),
      score: outcome.score,
    });
    sections.push(await picture(outcome, path));
  }
  const { id, precision, device } = scorer.model;
  const whose = scorer.choice.untrained
    ? ', which is UNTRAINED: the figures show the computation, not the quality of the pictures'
    : model === DEFAULT_MODEL
      ? ', the small model that comes with qalign, not the model of the paper'
      : '';
  return {
    title: 'Table 12: from logits to a score',
    rows,
    notes: [
      `Computed by ${id}${whose}; ${precision} on ${device}.`,
      "The paper's pictures are not included, and its figures for them are not recorded. OneAlign scores the authors' singapore_flyer.jpg with 1.911 for quality.",
      ...notes,
    ],
    sections,
  };
}

async function picture(result: ScoreResult, path: string): Promise<string> {
  const name = basename(path);
  const logits = RISING.map((level) => result.logits[level]);
  const probs = RISING.map((level) => result.level_probs[level]);
  const sum = RISING.map((level) => `${decimal(result.level_probs[level], 3)} × ${VALUE[level]}`).join(' + ');
  const image = `<img src="${await thumbnail(path, 250)}" alt="${escape(name)}">`;
  return `${heading(2, `${name}: ${decimal(result.score, 3)}`)}${row(
    figure(image, result.prompt.text),
    figure(
      bars({
        names: RISING,
        series: [{ name: 'logits', values: logits, labels: logits.map((value) => decimal(value, 2)) }],
        xLabel: 'level',
        yLabel: 'logit',
      }),
      'Logits of the five words.',
      { name: `${name}-logits`, head: ['level', 'logit'], rows: RISING.map((level, i) => [level, logits[i]!]) },
    ),
    figure(
      bars({
        names: RISING,
        series: [{ name: 'probabilities', values: probs }],
        xLabel: 'level',
        yLabel: 'probability (0–1)',
      }),
      `Softmax over the five words; score (1–5) = ${sum} = ${decimal(result.score, 3)}.`,
      {
        name: `${name}-probabilities`,
        head: ['level', 'probability'],
        rows: RISING.map((level, i) => [level, probs[i]!]),
      },
    ),
  )}`;
}

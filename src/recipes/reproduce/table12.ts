import { basename } from 'node:path';
import { DEFAULT_MODEL } from '../../config/models.js';
import { QalignError } from '../../base/errors.js';
import type { MediaInput } from '../../media/media-input.js';
import { expandSources } from '../../media/sources.js';
import { thumbnail } from '../../media/thumbnail.js';
import { sampleMedia } from '../../base/package-root.js';
import { escape, figure, row } from '../../report/page.js';
import { bars } from '../../report/plots.js';
import { decimal } from '../../report/text.js';
import { LEVELS, LEVEL_VALUES } from '../../scoring/levels.js';
import { isFailure, type ScoreResult } from '../../api/result.js';
import { createScorer } from '../score/create-scorer.js';
import type { ReproducedRow, ReproducedTable, ReproduceOptions } from './table.js';

const PICTURES = 6;

/** How a score comes about: the five logits of a picture, their softmax, and the weighted sum (Eq. 3 and 4). */
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
  for await (const source of expandSources([options.media ?? sampleMedia])) {
    if (source.kind !== 'image' || source.error !== undefined) continue;
    const [outcome] = await scorer.score(source);
    if (outcome === undefined || isFailure(outcome))
      throw new QalignError(
        'EVALUATION_FAILED',
        `${source.input} could not be scored: ${outcome?.error.message ?? 'no outcome'}`,
      );
    rows.push({
      picture: basename(outcome.input),
      ...Object.fromEntries(
        LEVELS.flatMap((level) => [
          [`logit ${level}`, outcome.logits[level]],
          [`p ${level}`, outcome.level_probs[level]],
        ]),
      ),
      score: outcome.score,
    });
    sections.push(await picture(outcome, source.media));
    if (rows.length === PICTURES) break;
  }
  if (rows.length === 0)
    throw new QalignError(
      'MEDIA_NOT_FOUND',
      `There is no picture in ${options.media ?? sampleMedia}; name a folder with pictures (--media).`,
    );
  const { id, precision, device } = scorer.model;
  const whose = scorer.choice.untrained
    ? ', which is UNTRAINED: the figures show the way of the computation and say nothing of the pictures'
    : model === DEFAULT_MODEL
      ? ", the small model embedded here: not the paper's"
      : '';
  return {
    title: 'Table 12: from logits to a score',
    rows,
    notes: [
      `Computed by ${id}${whose}; ${precision} on ${device}.`,
      "The pictures of the paper are not on this machine, and its figures for them are not recorded here; for the authors' singapore_flyer.jpg OneAlign gives 1.911 for quality.",
    ],
    sections,
  };
}

async function picture(result: ScoreResult, media: MediaInput): Promise<string> {
  const logits = LEVELS.map((level) => result.logits[level]);
  const low = Math.min(0, ...logits);
  const probs = LEVELS.map((level) => result.level_probs[level]);
  const sum = LEVELS.map((level, i) => `${decimal(result.level_probs[level], 3)} × ${LEVEL_VALUES.mos5[i]}`).join(
    ' + ',
  );
  const image =
    media instanceof Uint8Array ? '' : `<img src="${await thumbnail(media, 250)}" alt="${escape(result.input)}">`;
  const above = low < 0 ? ` Drawn above ${decimal(low, 2)}, the lowest.` : '';
  return `<h2>${escape(basename(result.input))}: ${decimal(result.score, 3)}</h2>${row(
    figure(image, result.prompt.text),
    figure(
      bars({
        names: LEVELS,
        series: [
          {
            name: 'logits',
            values: logits.map((value) => value - low),
            labels: logits.map((value) => decimal(value, 2)),
          },
        ],
        yLabel: low < 0 ? `logit − (${decimal(low, 2)})` : 'logit',
      }),
      `Logits ${logits.map((value) => decimal(value, 2)).join(', ')}.${above}`,
    ),
    figure(
      bars({ names: LEVELS, series: [{ name: 'probabilities', values: probs }], yLabel: 'probability' }),
      `Softmax over the five words; score = ${sum} = ${decimal(result.score, 3)}.`,
    ),
  )}`;
}

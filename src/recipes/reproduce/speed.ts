import { join, resolve } from 'node:path';
import { chooseModel, DEFAULT_MODEL, supports } from '../../config/models.js';
import { QalignError } from '../../base/errors.js';
import { makeClip } from '../bench/clip.js';
import { expandSources } from '../../media/sources.js';
import { sampleMedia } from '../../base/package-root.js';
import { figure } from '../../report/figure.js';
import { lines } from '../../report/plots.js';
import { benchScore } from '../bench/score.js';
import { PAPER_CLIP_SPEED, PAPER_IMAGE_SPEED } from '../evaluate/published-figures.js';
import { median } from '../../scoring/statistics/descriptive.js';
import { isFailure } from '../../api/result.js';
import { createScorer } from '../score/create-scorer.js';
import type { ReproducedTable, ReproduceOptions } from './table.js';
import type { ScoreSource } from '../score/scorer.js';

const PAPER_NOTE =
  'The paper measured its 8.2-billion-parameter model on one RTX 3090. Its other figures are not recorded here. Figures of other models or devices are not comparable.';
const BATCHES = [1, 2, 4, 8, 16, 32, 64];
const SECONDS = [5, 7, 8, 9, 10, 12];
const REPEATS = 7;

/** Latency and throughput of pictures by batch size, from files to scores, including decoding. */
export async function table9(options: ReproduceOptions): Promise<ReproducedTable> {
  const model = options.model ?? DEFAULT_MODEL;
  const sources: ScoreSource[] = [];
  for await (const source of expandSources([options.media ?? sampleMedia])) {
    if (source.kind === 'image' && source.error === undefined) sources.push(source);
    if (sources.length === 256) break;
  }
  if (sources.length === 0)
    throw new QalignError(
      'MEDIA_NOT_FOUND',
      `No picture was found in ${options.media ?? sampleMedia}; use --media with a folder of pictures.`,
    );
  const measured = await benchScore({
    scorer: { model, device: options.device, log: options.log },
    sources,
    batches: BATCHES,
    seconds: 3,
    onStep: (message) => options.onProgress?.(`${model} on ${sources.length} pictures, ${message}`),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const rows = measured.rows.map(({ batch, images_per_second, p50_ms_alone }) => ({
    batch,
    'pictures a second': round(images_per_second),
    'ms a picture': round(1000 / images_per_second),
    'ms alone (p50)': round(p50_ms_alone),
    'paper pictures a second': PAPER_IMAGE_SPEED[batch]?.images_per_second ?? null,
    'paper ms': PAPER_IMAGE_SPEED[batch]?.latency_ms ?? null,
    difference:
      PAPER_IMAGE_SPEED[batch]?.images_per_second !== undefined
        ? round(images_per_second - PAPER_IMAGE_SPEED[batch].images_per_second)
        : PAPER_IMAGE_SPEED[batch]?.latency_ms !== undefined
          ? round(p50_ms_alone - PAPER_IMAGE_SPEED[batch].latency_ms)
          : null,
  }));
  const plot = lines({
    series: [
      {
        name: 'pictures a second',
        points: measured.rows.map(({ batch, images_per_second }) => ({ x: Math.log2(batch), y: images_per_second })),
      },
    ],
    xLabel: 'log2 of the batch size',
    yLabel: 'pictures a second',
  });
  const notes = [
    modelNote(model, measured.precision, measured.device, measured.cores),
    'Measured end to end, from files to scores, including decoding and preprocessing. "ms alone" is the time of one picture while nothing else runs.',
    `The difference is ours minus the paper's, in the unit of the paper's figure. ${PAPER_NOTE}`,
  ];
  return {
    title: 'Table 9: latency and throughput of pictures',
    rows,
    notes,
    sections: [figure(plot, `${model} on ${measured.device}, ${measured.cores} cores, ${measured.precision}.`)],
  };
}

/** Latency of clips by length, from the file to the score, including decoding. */
export async function table10(options: ReproduceOptions): Promise<ReproducedTable> {
  const model = options.model ?? DEFAULT_MODEL;
  const folder = resolve(options.out ?? join('reproduced', 'table10'), 'clips');
  const choice = await chooseModel({ model });
  // a model that does not support clips is loaded by its folder, for which no supported tasks are known, to measure its
  // time
  const meant = supports(choice, 'quality', 'video');
  await using scorer = await createScorer({
    model: meant ? model : choice.model,
    device: options.device,
    log: options.log,
    signal: options.signal,
  });
  const rows = [];
  for (const seconds of SECONDS) {
    options.onProgress?.(`${seconds} s clip`);
    const clip = await makeClip(join(folder, `${seconds}s.mp4`), seconds, options.signal);
    const times: number[] = [];
    let frames = 0;
    for (let i = 0; i <= REPEATS; i++) {
      const started = performance.now();
      const [outcome] = await scorer.score({ input: clip, kind: 'video', media: clip });
      if (outcome === undefined || isFailure(outcome))
        throw new QalignError(
          'EVALUATION_FAILED',
          `The clip of ${seconds} s could not be scored: ${outcome?.error.message ?? 'the scorer returned no outcome'}`,
        );
      frames = outcome.frames ?? 0;
      if (i > 0) times.push(performance.now() - started); // the first call is a warm-up
    }
    const ms = median(times)!;
    rows.push({
      'clip (s)': seconds,
      frames,
      'ms (p50)': round(ms),
      'paper ms': PAPER_CLIP_SPEED[seconds] ?? null,
      difference: PAPER_CLIP_SPEED[seconds] === undefined ? null : round(ms - PAPER_CLIP_SPEED[seconds]),
    });
  }
  const { precision, device } = scorer.model;
  const plot = lines({
    series: [{ name: 'ours', points: rows.map((row) => ({ x: row['clip (s)'], y: row['ms (p50)'] })) }],
    xLabel: 'length of the clip in seconds',
    yLabel: 'ms',
  });
  return {
    title: 'Table 10: latency of clips',
    rows,
    notes: [
      modelNote(model, precision, device),
      ...(meant ? [] : [`${model} was not trained for clips: only its time is meaningful.`]),
      'Measured end to end with generated clips of 1280 × 720 at 30 frames per second. One frame per second is scored. Times are medians of seven runs.',
      PAPER_NOTE,
    ],
    sections: [figure(plot, `${model} on ${device}, ${precision}.`)],
  };
}

function modelNote(model: string, precision: string, device: string, cores?: number): string {
  return `Measured with ${model}${model === DEFAULT_MODEL ? ', the small model that comes with qalign' : ''}, ${precision}, on ${device}${cores === undefined ? '' : ` with ${cores} cores`}.`;
}

const round = (value: number): number => Math.round(value * 100) / 100;

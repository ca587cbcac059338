import { decodeImage } from '../../media/decode/decode.js';
import { distort } from '../../media/distort/distort.js';
import { FAMILIES, strengthAt, type Family } from '../../media/distort/families.js';
import { asPng } from '../../media/distort/pixels.js';
import { readInput } from '../../media/image-file.js';
import { withDefaults } from '../../media/limits.js';
import type { RawPicture } from '../../media/resample/resample.js';
import { QalignError } from '../../base/errors.js';
import { isFailure } from '../../api/result.js';
import { createScorer } from '../score/create-scorer.js';
import type { Scorer, ScorerOptions } from '../score/scorer.js';

export interface BenchOrderConfig {
  readonly scorer: ScorerOptions;
  /** Pristine pictures. Every family and strength of distortion is applied to each of them. */
  readonly files: readonly string[];
  /** Default: all families. */
  readonly families?: readonly Family[] | undefined;
  readonly onPicture?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface OrderRow {
  readonly kind: string;
  readonly strengths: readonly number[];
  /** Number of neighbouring strengths, out of `pairs`, of which the milder one has the strictly higher score. */
  readonly ordered: number;
  readonly pairs: number;
  /** Number of pictures, out of `pictures`, that have a strictly higher score than their mildest distortion. */
  readonly pristine_first: number;
  readonly pictures: number;
  /** Mean scores (1–5) of the undistorted pictures and of each strength. */
  readonly means: readonly number[];
}

export interface BenchOrderResult {
  readonly model: string;
  readonly pictures: number;
  readonly ordered: number;
  readonly pairs: number;
  readonly rows: readonly OrderRow[];
}

/** Number of strengths per family. */
const STRENGTHS_MEASURED = 4;

/** Strengths from the mildest to the strongest, evenly spaced on a logarithmic scale. */
function measuredStrengths(family: Family): number[] {
  return Array.from({ length: STRENGTHS_MEASURED }, (_, step) => strengthAt(family, step / (STRENGTHS_MEASURED - 1)));
}

/**
 * Measures whether scores fall as the strength of a distortion grows, with four strengths of each family for every
 * picture.
 */
export async function benchOrder({
  scorer: options,
  files,
  families = FAMILIES,
  onPicture,
  signal,
}: BenchOrderConfig): Promise<BenchOrderResult> {
  await using scorer = await createScorer({ ...options, ...(signal === undefined ? {} : { signal }) });
  const found = new Map<Family, number[][]>(families.map((family) => [family, []]));
  for (const [number, file] of files.entries()) {
    signal?.throwIfAborted();
    const limits = withDefaults(undefined);
    const picture = await decodeImage(await readInput(file, limits, signal), limits, true);
    const first = scoreOf(scorer, picture);
    // the pictures of a family are scored while those of the next are made
    let scored: Promise<unknown> = first;
    for (const [family, series] of found) {
      const versions: RawPicture[] = [];
      for (const strength of measuredStrengths(family)) versions.push(await distort(picture, family, strength, number));
      await scored;
      scored = Promise.all([first, ...versions.map((version) => scoreOf(scorer, version))]).then((scores) =>
        series.push(scores),
      );
      scored.catch(() => {});
    }
    await scored;
    onPicture?.(number + 1, files.length);
  }
  const rows = [...found].map(([family, series]) => orderRow(family, measuredStrengths(family), series));
  const sum = (of: (row: OrderRow) => number): number => rows.reduce((total, row) => total + of(row), 0);
  return {
    model: scorer.model.id,
    pictures: files.length,
    ordered: sum((row) => row.ordered),
    pairs: sum((row) => row.pairs),
    rows,
  };
}

/**
 * Counts how often scores fall from one strength to the next. Each series starts with the score of the undistorted
 * picture.
 */
function orderRow(kind: string, strengths: readonly number[], series: readonly (readonly number[])[]): OrderRow {
  const falls = (scores: readonly number[], from: number): number =>
    scores.slice(from + 1).filter((score, i) => score < scores[from + i]!).length;
  return {
    kind,
    strengths,
    ordered: series.reduce((total, scores) => total + falls(scores, 1), 0),
    pairs: series.length * (strengths.length - 1),
    pristine_first: series.filter((scores) => scores[1]! < scores[0]!).length,
    pictures: series.length,
    means: [0, ...strengths].map(
      (_, place) => series.reduce((total, scores) => total + scores[place]!, 0) / series.length,
    ),
  };
}

async function scoreOf(scorer: Scorer, picture: RawPicture): Promise<number> {
  const [outcome] = await scorer.score(await asPng(picture));
  if (outcome === undefined || isFailure(outcome))
    throw new QalignError('WORKER_INTERNAL', outcome?.error.message ?? 'The scorer returned no outcome for a picture.');
  return outcome.score;
}

/** Entry point of src/recipes/bench: measures the other recipes on given or generated pictures. */
import { setTimeout as sleep } from 'node:timers/promises';
import { availableParallelism } from 'node:os';
import { createScorer } from '../score/create-scorer.js';
import { isFailure } from '../../api/result.js';
import { median } from '../../scoring/statistics/descriptive.js';
import type { Scorer, ScorerOptions, ScoreSource } from '../score/scorer.js';

export interface BenchScoreConfig {
  readonly scorer: ScorerOptions;
  readonly sources: readonly ScoreSource[];
  /** Batch sizes to measure: the maximum number of frames per request to a worker. */
  readonly batches: readonly number[];
  /** Duration of each measurement in seconds, after a warm-up pass; default 4. */
  readonly seconds?: number;
  readonly signal?: AbortSignal;
  readonly onStep?: (message: string) => void;
}

export interface BenchScoreResult {
  readonly model: string;
  readonly precision: string;
  readonly device: string;
  readonly cores: number;
  /** End to end, from files to scores: decoding, preparation, bridge and model. */
  readonly rows: readonly {
    readonly batch: number;
    readonly images_per_second: number;
    readonly p50_ms_alone: number;
  }[];
}

/** Measures the throughput from files to scores for several batch sizes, and the latency of one picture at a time. */
export async function benchScore({
  scorer: options,
  sources,
  batches,
  seconds = 4,
  signal,
  onStep = () => {},
}: BenchScoreConfig): Promise<BenchScoreResult> {
  const rows: { batch: number; images_per_second: number; p50_ms_alone: number }[] = [];
  let model: Scorer['model'] | undefined;
  for (const [place, batch] of batches.entries()) {
    onStep(`batches of ${batch} (${place + 1} of ${batches.length})`);
    await using scorer = await createScorer({
      ...options,
      maxBatchFrames: batch,
      ...(signal === undefined ? {} : { signal }),
    });
    model = scorer.model;
    const width = Math.max(4, batch * 4); // two batches at the worker and two in preparation
    await drain(scorer, take(cycle(sources), width), width);
    const started = performance.now();
    const until = started + seconds * 1000;
    const count = await drain(scorer, untilTime(cycle(sources), until), width);
    const imagesPerSecond = (count * 1000) / (performance.now() - started);
    rows.push({ batch, images_per_second: imagesPerSecond, p50_ms_alone: await medianMsAlone(scorer, sources) });
  }
  return {
    model: model?.id ?? '',
    precision: model?.precision ?? '',
    device: model?.device ?? '',
    cores: availableParallelism(),
    rows,
  };
}

/** Median latency of one picture while nothing else runs, in milliseconds. */
async function medianMsAlone(scorer: Scorer, sources: readonly ScoreSource[]): Promise<number> {
  const times: number[] = [];
  for (const source of take(cycle(sources), 21)) {
    const started = performance.now();
    await scorer.score(source);
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b)[10] as number;
}

export interface MemorySample {
  readonly inputs: number;
  readonly seconds: number;
  readonly node_mb: number;
  readonly workers_mb: number;
}

export interface BenchMemoryResult {
  readonly inputs: number;
  readonly failed: number;
  readonly inputs_per_second: number;
  /** Growth of the memory of Node in MB; see `growth`. */
  readonly node_growth_mb: number;
  readonly workers_growth_mb: number;
  readonly curve: readonly MemorySample[];
}

/** Number of pictures between two clips. A clip costs as much as fifty pictures. */
const PICTURES_A_CLIP = 200;

/**
 * Scores `n` inputs and samples the memory of Node and of the workers. The inputs repeat the pictures, with a clip
 * after every 200.
 */
export async function benchMemory({
  scorer: options,
  sources,
  n,
  signal,
  onSample,
}: {
  scorer: ScorerOptions;
  sources: readonly ScoreSource[];
  n: number;
  signal?: AbortSignal;
  onSample?: (sample: MemorySample) => void;
}): Promise<BenchMemoryResult> {
  await using scorer = await createScorer({ ...options, ...(signal === undefined ? {} : { signal }) });
  const curve: MemorySample[] = [];
  const started = performance.now();
  let [inputs, failed] = [0, 0];
  const sample = (): void => {
    const workers = scorer.workersRss().reduce((sum, bytes) => sum + bytes, 0);
    curve.push({
      inputs,
      seconds: (performance.now() - started) / 1000,
      node_mb: process.memoryUsage.rss() / 2 ** 20,
      workers_mb: workers / 2 ** 20,
    });
    onSample?.(curve.at(-1) as MemorySample);
  };
  const every = Math.max(1, Math.floor(n / 40));
  await sleep(1_200); // until the workers have reported their memory once
  for await (const outcomes of scorer.scoreMany(take(mixed(sources), n), signal === undefined ? {} : { signal })) {
    inputs += 1;
    failed += outcomes.filter(isFailure).length;
    if (inputs % every === 0) sample();
  }
  return {
    inputs,
    failed,
    inputs_per_second: (inputs * 1000) / (performance.now() - started),
    node_growth_mb: growth(curve.map(({ node_mb }) => node_mb)),
    workers_growth_mb: growth(curve.map(({ workers_mb }) => workers_mb)),
    curve,
  };
}

async function drain(scorer: Scorer, sources: Iterable<ScoreSource>, inFlight: number): Promise<number> {
  let count = 0;
  for await (const _ of scorer.scoreMany(sources, { inFlight })) count += 1;
  return count;
}

function* cycle<T>(items: readonly T[]): Generator<T, void, undefined> {
  while (items.length > 0) yield* items;
}

function* mixed(sources: readonly ScoreSource[]): Generator<ScoreSource, void, undefined> {
  const [pictures, clips] = [
    sources.filter(({ kind }) => kind === 'image'),
    cycle(sources.filter(({ kind }) => kind === 'video')),
  ];
  let since = 0;
  for (const picture of cycle(pictures)) {
    yield picture;
    since = (since + 1) % PICTURES_A_CLIP;
    const clip = since === 0 ? clips.next() : undefined;
    if (clip?.done === false) yield clip.value;
  }
}

function* take<T>(items: Iterable<T>, count: number): Generator<T, void, undefined> {
  let left = count;
  if (left > 0)
    for (const item of items) {
      yield item;
      left -= 1;
      if (left === 0) return;
    }
}

function* untilTime<T>(items: Iterable<T>, end: number): Generator<T, void, undefined> {
  for (const item of items) {
    if (performance.now() >= end) return;
    yield item;
  }
}

/** Growth over a long run: median of the last quarter of a curve minus the median of its second quarter. */
export function growth(curve: readonly number[]): number {
  const quarter = curve.length / 4;
  const last = curve.slice(-Math.ceil(quarter));
  const second = curve.slice(Math.floor(quarter), Math.ceil(2 * quarter));
  return (median(last) ?? 0) - (median(second) ?? 0);
}

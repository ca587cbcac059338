/**
 * The boundary of src/server/bench: measures a service over its socket, like any client. It imports no
 * internals of the service.
 */
import { readFile } from 'node:fs/promises';
import { QalignError } from '../../base/errors.js';
import { chooseModel } from '../../config/models.js';
import { pathOf } from '../../media/media-input.js';
import { availableParallelism, loadavg } from 'node:os';
import { growth } from '../../recipes/bench/score.js';
import { createScorer } from '../../recipes/score/create-scorer.js';
import type { Scorer, ScoreSource } from '../../recipes/score/scorer.js';
import { median } from '../../scoring/statistics/descriptive.js';
import { closedLoop, forSeconds, shotOf } from './load.js';
import { measureOverload, type OverloadConfig, type OverloadResult } from './overload.js';
import { startServed, type Served } from './served.js';

export interface BenchServeConfig {
  readonly model: string;
  readonly device: string;
  readonly precision: string;
  /** Pictures to send. */
  readonly sources: readonly ScoreSource[];
  /** Requests of the memory measurement. */
  readonly n: number;
  /** Duration of each measurement; default 6. */
  readonly seconds?: number;
  /** Measures only overload, with these settings. */
  readonly overload?: OverloadConfig | undefined;
  readonly signal?: AbortSignal;
  readonly onStep?: (message: string) => void;
}

/** `throughput` and `memory` are null where only overload was measured. */
export interface BenchServeResult extends OverloadResult {
  readonly model: string;
  readonly untrained: boolean;
  readonly cores: number;
  /** One-minute load average before and after the measurement. */
  readonly load: readonly [number, number];
  readonly throughput: {
    readonly rounds: readonly { engine_items_per_second: number; http_items_per_second: number }[];
    readonly http_over_engine_median: number;
  } | null;
  readonly memory: {
    readonly requests: number;
    readonly failed: number;
    readonly growth_node_mb: number;
    readonly growth_workers_mb: number;
    readonly curve: readonly { requests: number; node_mb: number; workers_mb: number }[];
  } | null;
}

const ROUNDS = 5;
const ITEMS = 16;
const WIDTH = 8;

/**
 * Compares the service with the engine below it, measures it at 1, 2 and 10 times its capacity, and watches its memory
 * over many requests. This process sends; the service is another process.
 */
export async function benchServe({
  model,
  device,
  precision,
  sources,
  n,
  seconds = 6,
  overload,
  signal,
  onStep = () => {},
}: BenchServeConfig): Promise<BenchServeResult> {
  const before = loadavg()[0] as number;
  const pictures = await Promise.all(
    sources.map(async ({ input, media }) => ({
      name: input,
      data: media instanceof Uint8Array ? media : await readFile(pathOf(media) as string | Buffer),
    })),
  );
  const [lightest] = [...pictures].sort((a, b) => a.data.length - b.data.length);
  if (lightest === undefined)
    throw new QalignError('MEDIA_NOT_FOUND', 'There is no picture to send; name one with --input.');
  const { untrained } = await chooseModel({ model });
  const served = await startServed([`models=[${model}]`, `device=${device}`, `precision=${precision}`], signal);
  try {
    const throughput =
      overload === undefined
        ? await compareThroughput(served, { model, device, precision, pictures, seconds, onStep, signal })
        : null;
    const config = overload ?? { times: [1, 2, 10], seconds: seconds * 2, beside: 0 };
    const measured = await measureOverload({ served, picture: lightest, config, onStep, signal });
    const memory = overload === undefined ? await watchMemory(served, [lightest], n, onStep, signal) : null;
    return {
      model,
      untrained,
      cores: availableParallelism(),
      load: [before, loadavg()[0] as number],
      throughput,
      ...measured,
      memory,
    };
  } finally {
    await served.stop();
  }
}

type Pictures = readonly { readonly name: string; readonly data: Uint8Array }[];

/** Service and engine take turns, so that other load on the machine affects both equally. */
async function compareThroughput(
  served: Served,
  {
    model,
    device,
    precision,
    pictures,
    seconds,
    onStep,
    signal,
  }: {
    model: string;
    device: string;
    precision: string;
    pictures: Pictures;
    seconds: number;
    onStep: (message: string) => void;
    signal: AbortSignal | undefined;
  },
): Promise<NonNullable<BenchServeResult['throughput']>> {
  await using scorer = await createScorer({ model, device, precision: precision as 'auto' });
  const shots = pictures.map((_, start) =>
    shotOf(
      Array.from({ length: ITEMS }, (_, i) => pictures[(start + i) % pictures.length] as Pictures[number]),
      60_000,
    ),
  );
  await engineAlone(scorer, pictures, 1);
  await closedLoop(served.url, shots, WIDTH, forSeconds(1));
  const rounds: { engine_items_per_second: number; http_items_per_second: number }[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    signal?.throwIfAborted();
    onStep(`throughput, round ${round} of ${ROUNDS}`);
    const http = (): Promise<number> =>
      closedLoop(served.url, shots, WIDTH, forSeconds(seconds)).then((result) => result.items_per_second);
    const first = round % 2 === 0 ? await http() : undefined;
    const engine = await engineAlone(scorer, pictures, seconds);
    rounds.push({ engine_items_per_second: engine, http_items_per_second: first ?? (await http()) });
  }
  const ratios = rounds.map((round) => round.http_items_per_second / round.engine_items_per_second);
  return { rounds, http_over_engine_median: median(ratios) as number };
}

/** Scores bytes without HTTP, with as many items in flight as the service has. */
async function engineAlone(scorer: Scorer, pictures: Pictures, seconds: number): Promise<number> {
  const over = forSeconds(seconds);
  function* forever(): Generator<ScoreSource> {
    for (let i = 0; !over(); i++) {
      const { name, data } = pictures[i % pictures.length] as Pictures[number];
      yield { input: name, kind: 'image', media: data };
    }
  }
  const started = performance.now();
  let count = 0;
  for await (const outcomes of scorer.scoreMany(forever(), { inFlight: ITEMS * WIDTH })) count += outcomes.length;
  return (count * 1000) / (performance.now() - started);
}

async function watchMemory(
  served: Served,
  pictures: Pictures,
  n: number,
  onStep: (message: string) => void,
  signal: AbortSignal | undefined,
): Promise<NonNullable<BenchServeResult['memory']>> {
  const curve: { requests: number; node_mb: number; workers_mb: number }[] = [];
  let failed = 0;
  for (let done = 0; done <= n;) {
    signal?.throwIfAborted();
    curve.push({ requests: done, ...(await served.memory()) });
    onStep(
      `memory: ${done} of ${n} requests, ${curve.at(-1)?.node_mb.toFixed(0)} MB and ${curve.at(-1)?.workers_mb.toFixed(0)} MB`,
    );
    if (done === n) break;
    const some = Math.min(n - done, Math.max(100, Math.ceil(n / 40)));
    const { sent, by_status } = await closedLoop(
      served.url,
      pictures.map((picture) => shotOf([picture], 60_000)),
      16,
      (count) => count >= some,
    );
    failed += sent - (by_status['200'] ?? 0);
    done = Math.min(n, done + sent);
  }
  return {
    requests: n,
    failed,
    growth_node_mb: growth(curve.map(({ node_mb }) => node_mb)),
    growth_workers_mb: growth(curve.map(({ workers_mb }) => workers_mb)),
    curve,
  };
}

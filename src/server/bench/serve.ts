/** The boundary of src/server/bench: measures a service over its socket, as any client could; nothing of its inside. */
import { readFile } from 'node:fs/promises';
import { pathOf } from '../../media/media-input.js';
import { availableParallelism, loadavg } from 'node:os';
import { growth } from '../../recipes/bench/score.js';
import { createScorer } from '../../recipes/score/create-scorer.js';
import type { Scorer, ScoreSource } from '../../recipes/score/scorer.js';
import { median } from '../../scoring/statistics/descriptive.js';
import { closedLoop, openLoop, shotOf, type LoadResult } from './load.js';
import { startServed, type Served } from './served.js';

export interface BenchServeConfig {
  readonly model: string;
  readonly device: string;
  readonly precision: string;
  /** Pictures to send. */
  readonly sources: readonly ScoreSource[];
  /** Requests of the part that watches the memory. */
  readonly n: number;
  /** Of each measurement; default 6. */
  readonly seconds?: number;
  readonly signal?: AbortSignal;
  readonly onStep?: (message: string) => void;
}

export interface BenchServeResult {
  readonly model: string;
  readonly untrained: boolean;
  readonly cores: number;
  /** Load average over a minute, before and after: what else the machine did. */
  readonly load: readonly [number, number];
  readonly throughput: {
    readonly rounds: readonly { engine_items_per_second: number; http_items_per_second: number }[];
    readonly http_over_engine_median: number;
  };
  readonly capacity_items_per_second: number;
  readonly overload: readonly ({
    readonly times_capacity: number;
    readonly connections_dropped: number;
  } & LoadResult)[];
  readonly memory: {
    readonly requests: number;
    readonly failed: number;
    readonly growth_node_mb: number;
    readonly growth_workers_mb: number;
    readonly curve: readonly { requests: number; node_mb: number; workers_mb: number }[];
  };
}

const ROUNDS = 5;
const ITEMS = 16;
const WIDTH = 8;
/** What a client of the overload part waits for at most. */
const WITHIN_MS = 5_000;

/**
 * The service against the engine that it stands on, at 1, 2 and 10 times what it can do, and over many requests. This
 * process sends; the service is a process of its own.
 */
export async function benchServe({
  model,
  device,
  precision,
  sources,
  n,
  seconds = 6,
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
  const lightest = [...pictures].sort((a, b) => a.data.length - b.data.length).slice(0, 1);
  const served = await startServed([`models=[${model}]`, `device=${device}`, `precision=${precision}`], signal);
  try {
    const { throughput, untrained } = await compareThroughput(served, {
      model,
      device,
      precision,
      pictures,
      seconds,
      onStep,
      signal,
    });
    onStep('capacity');
    const alone = lightest.map((picture) => shotOf([picture], 60_000));
    await closedLoop(served.url, alone, 32, forSeconds(seconds / 3)); // until the pace of these is known
    const capacity = await closedLoop(served.url, alone, 32, forSeconds(seconds));
    const overload: BenchServeResult['overload'][number][] = [];
    for (const times of [1, 2, 10]) {
      signal?.throwIfAborted();
      onStep(`${times} times ${capacity.items_per_second.toFixed(1)} requests a second`);
      const before = await served.dropped();
      const result = await openLoop(
        served.url,
        lightest.map((picture) => shotOf([picture], WITHIN_MS)),
        capacity.items_per_second * times,
        seconds * 2,
      );
      overload.push({ times_capacity: times, connections_dropped: (await served.dropped()) - before, ...result });
    }
    const memory = await watchMemory(served, lightest, n, onStep, signal);
    return {
      model,
      untrained,
      cores: availableParallelism(),
      load: [before, loadavg()[0] as number],
      throughput,
      capacity_items_per_second: capacity.items_per_second,
      overload,
      memory,
    };
  } finally {
    await served.stop();
  }
}

type Pictures = readonly { readonly name: string; readonly data: Uint8Array }[];
const forSeconds = (seconds: number): (() => boolean) => {
  const end = performance.now() + seconds * 1000;
  return () => performance.now() >= end;
};

/** In turns, each first every second time, so that other load on the machine affects both alike. */
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
): Promise<{ throughput: BenchServeResult['throughput']; untrained: boolean }> {
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
  return {
    throughput: { rounds, http_over_engine_median: median(ratios) as number },
    untrained: scorer.choice.untrained,
  };
}

/** Bytes to scores without HTTP, as many in flight as the service gets. */
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
): Promise<BenchServeResult['memory']> {
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

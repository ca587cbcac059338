import type { PythonCommand } from '../../engine/python/environment.js';
import { loadModelParams } from '../../engine/load-model.js';
import { withWorker } from '../../engine/with-worker.js';
import { QalignError } from '../../base/errors.js';
import { frameBytes } from '../../media/views/views.js';
import { LEVELS } from '../../scoring/levels.js';

/** One prepared picture of the full-size model: uint8 [448, 448, 3]. */
const PICTURE_BYTES = 448 * 448 * 3;
const PROMPT = '<|image|>';

export interface BenchBridgeConfig {
  readonly python: PythonCommand;
  /** A local checkpoint of any size; its compute time is subtracted. */
  readonly model: string;
  readonly device?: string;
  /** Number of sequential requests, after 10 % more as warm-up; default 100. */
  readonly requests?: number;
  /** Duration of the throughput measurement in seconds; default 3. */
  readonly seconds?: number;
  readonly signal?: AbortSignal;
}

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

export interface BenchBridgeResult {
  readonly bytes_per_request: number;
  readonly requests: number;
  /** Time in milliseconds from the call in TypeScript to its answer, minus the compute time that the worker reports. */
  readonly overhead_ms: Quantiles;
  /** Time in milliseconds of the same call to a worker without a model, which answers immediately. */
  readonly round_trip_ms: Quantiles;
  /** Throughput of requests with one picture each and no computation, with as many in flight as the worker grants. */
  readonly mb_per_second: number;
  readonly requests_per_second: number;
}

/** Measures the overhead of requests to a real worker. Each request has the bytes of one 448×448 picture. */
export async function benchBridge({
  python,
  model,
  device = 'cpu',
  requests = 100,
  seconds = 3,
  signal,
}: BenchBridgeConfig): Promise<BenchBridgeResult> {
  const cancel = signal === undefined ? {} : { signal };
  return withWorker({ python, device, signal }, async (worker) => {
    const wanted = loadModelParams({ model, device, offline: true });
    const { model: loaded } = await worker.request('load_model', wanted, cancel);
    const { image_size: side, views } = loaded;
    // a small model takes small frames, so a clip has the same number of bytes as the picture
    const frames = Math.max(1, Math.round(PICTURE_BYTES / frameBytes(side, views)));
    const bytes = frames * frameBytes(side, views);
    const pixels = new Uint8Array(bytes); // never modified, so all requests can share it
    const send = () =>
      worker.request('score', request([frames, views.length * side, side, 3]), { buffers: [pixels], ...cancel });
    const overhead = await quantiles(requests, async () => (await send()).timings.compute_ms);
    await worker.request('unload_model', {}, cancel);
    const refused = () => send().then(() => 0, expectRefusal);
    const roundTrip = await quantiles(requests, refused);
    const rate = await throughput(worker.credits, refused, seconds);
    return {
      bytes_per_request: bytes,
      requests,
      overhead_ms: overhead,
      round_trip_ms: roundTrip,
      mb_per_second: (rate * bytes) / 1e6,
      requests_per_second: rate,
    };
  });
}

const request = (shape: [frames: number, ...number[]]) => ({
  items: [{ id: '0', visuals: [{ frames: shape[0] }], prompts: [{ text: PROMPT }] }],
  levels: [...LEVELS],
  buffers: [{ dtype: 'uint8' as const, shape }],
});

/** Without a model the worker checks a request and refuses it immediately. */
function expectRefusal(error: unknown): number {
  if (error instanceof QalignError && error.code === 'MODEL_NOT_LOADED') return 0;
  throw error;
}

/** Times sequential calls in milliseconds. Each call returns the time to subtract. */
async function quantiles(count: number, call: () => Promise<number>): Promise<Quantiles> {
  const times: number[] = [];
  for (let i = -Math.ceil(count / 10); i < count; i++) {
    const started = performance.now();
    const elsewhere = await call();
    if (i >= 0) times.push(performance.now() - started - elsewhere);
  }
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(part * times.length))] as number;
  return { p50: at(0.5), p99: at(0.99) };
}

/** Answered calls per second, with `width` calls in flight. */
async function throughput(width: number, call: () => Promise<number>, seconds: number): Promise<number> {
  const started = performance.now();
  const until = started + seconds * 1000;
  let answered = 0;
  const lane = async (): Promise<void> => {
    for (; performance.now() < until; answered += 1) await call();
  };
  await Promise.all(Array.from({ length: Math.max(1, width) }, lane));
  return (answered * 1000) / (performance.now() - started);
}

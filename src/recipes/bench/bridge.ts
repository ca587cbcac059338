import type { PythonCommand } from '../../engine/python/environment.js';
import { loadModelParams } from '../../engine/load-model.js';
import { withWorker } from '../../engine/with-worker.js';
import { QalignError } from '../../base/errors.js';
import { LEVELS } from '../../scoring/levels.js';

/** One prepared picture of the full-size model: uint8 [448, 448, 3]. */
const PICTURE_BYTES = 448 * 448 * 3;
const PROMPT = '<|image|>';

export interface BenchBridgeConfig {
  readonly python: PythonCommand;
  /** A local checkpoint; its size does not matter, the time it computes is taken off. */
  readonly model: string;
  readonly device?: string;
  /** Requests one after the other, after a tenth as many warm ones; default 100. */
  readonly requests?: number;
  /** How long the throughput is measured; default 3 s. */
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
  /** From the call in TypeScript to its answer, less the time that the worker says the model took. */
  readonly overhead_ms: Quantiles;
  /** The same call to a worker without a model, which answers at once. */
  readonly round_trip_ms: Quantiles;
  /** Requests with a picture each that compute nothing, as many under way as the worker grants. */
  readonly mb_per_second: number;
  readonly requests_per_second: number;
}

/** What it costs to speak with a worker: a real one, real requests, as many bytes as one 448×448 picture each. */
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
    const side = loaded.image_size;
    // a small model takes small frames: a clip of as many bytes as the picture
    const frames = Math.max(1, Math.round(PICTURE_BYTES / (side * side * 3)));
    const bytes = frames * side * side * 3;
    const pixels = new Uint8Array(bytes); // never written to, so every request may carry it
    const send = () => worker.request('score', request(frames, side), { buffers: [pixels], ...cancel });
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

const request = (frames: number, side: number) => ({
  items: [{ id: '0', visuals: [{ frames }], prompts: [PROMPT] }],
  levels: [...LEVELS],
  buffers: [{ dtype: 'uint8' as const, shape: [frames, side, side, 3] }],
});

/** Without a model a request is answered as soon as it has arrived and been checked. */
function expectRefusal(error: unknown): number {
  if (error instanceof QalignError && error.code === 'MODEL_NOT_LOADED') return 0;
  throw error;
}

/** Times of `call` one after the other, each less the milliseconds that it returns. */
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

/** Calls answered a second, `width` under way at any time. */
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

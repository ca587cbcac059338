import { LatencyModel } from '../../../src/engine/latency.js';
import type { Scorer } from '../../../src/recipes/score/scorer.js';
import { createAdmission, type Ticket } from '../../../src/server/score/admission.js';

export interface Simulation {
  /** The time of a frame at full speed, and the overhead of a batch, in ms. */
  readonly frameMs: number;
  readonly batchMs?: number;
  readonly maxBatchFrames?: number;
  /** Time in ms → the factor by which everything is slower. */
  readonly slowness?: (time: number) => number;
  /** Time in ms → the requests that arrive. */
  readonly arrivals: (time: number) => readonly Arrival[];
  readonly seconds: number;
}

export interface Arrival {
  readonly withinMs: number;
  readonly items?: number;
  /** The number of frames, if one item is a clip. */
  readonly clip?: number;
  /** Time in ms for which it waits for others before it is computed. */
  readonly fetchMs?: number;
}

export interface Counts {
  answered: number;
  frames: number;
  late: number;
  refused: number;
  /** Values per second of the simulation. */
  readonly answeredBySecond: number[];
  readonly retryAfterS: number[];
}

interface Request {
  readonly ticket: Ticket;
  readonly deadline: number;
  readonly frames: number;
  readonly ready: number;
  done: boolean;
}

/**
 * One worker takes up to a batch of waiting frames in order of arrival, and gets the next batch while one runs.
 * Time is simulated.
 */
export function simulate(config: Simulation): Counts {
  const { frameMs, batchMs = 0, maxBatchFrames = 16, slowness = () => 1, arrivals, seconds } = config;
  let time = 0;
  const latency = new LatencyModel();
  const queue: Request[] = [];
  const batches: Request[][] = [];
  let workLeft = 0;
  let startedAt = 0;
  const framesOf = (batch: readonly Request[]): number => batch.reduce((sum, { frames }) => sum + frames, 0);
  const scorer = scorerThatSays(() => latency.line, {
    maxBatchFrames,
    runningFrames: () => framesOf(batches.flat()),
  });
  const admission = createAdmission(() => time);
  const counts: Counts = { answered: 0, frames: 0, late: 0, refused: 0, answeredBySecond: [], retryAfterS: [] };
  const open = new Set<Request>();

  const startBatch = (): void => {
    startedAt = time;
    workLeft = batchMs + frameMs * framesOf(batches[0] ?? []);
  };
  const fill = (): void => {
    while (batches.length < 2) {
      const batch: Request[] = [];
      for (const request of [...queue]) {
        if (request.ready > time || (batch.length > 0 && framesOf(batch) + request.frames > maxBatchFrames)) continue;
        batch.push(request);
        queue.splice(queue.indexOf(request), 1);
      }
      if (batch.length === 0) return;
      if (batches.push(batch) === 1) startBatch();
    }
  };
  const end = (request: Request, late: boolean): void => {
    request.done = true;
    open.delete(request);
    request.ticket.done(request.frames, late ? 'late' : 'scored');
    request.ticket.close();
    if (late) return void counts.late++;
    counts.answered++;
    counts.frames += request.frames;
    const second = Math.floor(time / 1000);
    counts.answeredBySecond[second] = (counts.answeredBySecond[second] ?? 0) + 1;
  };
  const come = ({ withinMs, items = 1, clip, fetchMs = 0 }: Arrival): void => {
    try {
      const ticket = admission.admit(scorer, { frames: items, withinMs, waitsForOthers: fetchMs > 0 });
      if (clip !== undefined) ticket.countedClip(ticket.foundClip(), clip);
      const frames = items - 1 + (clip ?? 1);
      const request = { ticket, frames, deadline: time + withinMs, ready: time + fetchMs, done: false };
      open.add(request);
      queue.push(request);
    } catch (error) {
      counts.refused++;
      counts.retryAfterS.push((error as { details: { retry_after_s: number } }).details.retry_after_s);
    }
  };
  for (time = 0; time < seconds * 1000; time++) {
    for (const request of open) {
      if (request.deadline > time) break;
      end(request, true);
      if (queue.includes(request)) queue.splice(queue.indexOf(request), 1);
    }
    for (const arrival of arrivals(time)) come(arrival);
    fill();
    const [running] = batches;
    if (running === undefined) continue;
    workLeft -= 1 / slowness(time);
    if (workLeft > 0) continue;
    latency.observe(framesOf(running), time - startedAt);
    batches.shift();
    for (const request of running) if (!request.done) end(request, false);
    if (batches.length > 0) startBatch();
    fill();
  }
  return counts;
}

/** Evenly spaced requests with the same deadline, at a rate per second. */
export const evenly =
  (perSecond: number, request: Arrival): Simulation['arrivals'] =>
  (time) =>
    Array.from(
      { length: Math.floor(((time + 1) * perSecond) / 1000) - Math.floor((time * perSecond) / 1000) },
      () => request,
    );

/** A scorer with one worker; `ready: false` means that the worker has ended. */
export function scorerThatSays(
  latency: () => LatencyModel['line'],
  { ready = true, maxBatchFrames = 16, runningFrames = (): number => 0 } = {},
): Scorer {
  const worker = { device: 'cpu', pid: 1, ready, restarts: 0, rss_bytes: 0 };
  const engine = () => ({
    queued: 0,
    running: 0,
    queuedFrames: { interactive: 0, bulk: 0 },
    runningFrames: runningFrames(),
    maxBatchFrames,
    batches: 0,
    items: 0,
    frames: 0,
    workers: [{ ...worker, latency: latency() }],
  });
  return { load: () => ({ engine: engine(), preparing: undefined }), ticket: () => 0 } as unknown as Scorer;
}

import { QalignError } from '../../base/errors.js';
import { AGEING } from '../../base/lane.js';
import type { Scorer } from '../../recipes/score/scorer.js';
import { BacklogPace } from './backlog-pace.js';
import { WaitMargin } from './wait-margin.js';

/** Frames that are admitted before anything is known about a model. */
const UNKNOWN_FRAMES = 16;
/** What the first clip is taken for until it is decoded: the paper's clips have 5 to 12 s at one frame a second. */
const CLIP_FRAMES = 8;
/** How much the latest clip weighs in what the next is taken for. */
const CLIP_WEIGHT = 0.2;
/** While bulk waits it gets one batch of every nine, so interactive frames take this much longer. */
const AGEING_SHARE = (AGEING + 1) / AGEING;

/** An admitted request. */
export interface Ticket {
  readonly order: number;
  /** When it is expected to be answered, in ms from now. */
  readonly predictedMs: number;
  /** One of its items is a clip. Returns the frames that it is taken for until it is decoded. */
  foundClip(): number;
  /** A clip that was taken for `frames` had `seen` ones. */
  countedClip(frames: number, seen: number): void;
  /** So many of its frames are answered. The prediction learns from the last ones. */
  done(frames: number, outcome?: Outcome): void;
  /** Nobody waits for it any more: answered, or the client is gone. */
  close(): void;
}

/** `failed` may have cost no computation, `late` was given up: neither says that a frame was computed. */
export type Outcome = 'scored' | 'failed' | 'late';

/** What is asked of admission. */
export interface Wanted {
  readonly frames: number;
  /** The time that the request has left, in ms. */
  readonly withinMs: number;
  /** Its time depends on others too, as where URLs are fetched: nothing is learned from it. */
  readonly waitsForOthers?: boolean;
}

export interface Admission {
  /** @throws QalignError NO_WORKER, OVERLOADED (with retry_after_s) */
  admit(scorer: Scorer, wanted: Wanted): Ticket;
  /** The same question without taking a place: asked before a body is read. */
  check(scorer: Scorer, withinMs: number): void;
  /** When a picture that came now would be answered, in ms; undefined while nothing is known. */
  predict(scorer: Scorer, frames?: number): number | undefined;
  /** Requests were refused just now. */
  readonly refusing: () => boolean;
}

/** From so many frames on there is a backlog, and how fast it shrinks is what counts. */
const BACKLOG = 8;
/** So long after a refusal the next is likely. */
const REFUSED_MS = 100;
/** How much the latest answer weighs in the bias. */
const BIAS_WEIGHT = 0.05;

interface Waiting {
  readonly started: number;
  readonly predictedMs: number;
  readonly withinMs: number;
}

interface State {
  /** Let in and not answered yet. */
  frames: number;
  /** How right the latest predictions were on the average. */
  bias: number;
  clipFrames: number;
  readonly margin: WaitMargin;
  readonly pace: BacklogPace;
  /** Requests to learn from that are not answered yet, the oldest first. */
  readonly waiting: Set<Waiting>;
}

/**
 * Admits what can be answered in time. The predicted wait is the admitted and unanswered frames at the pace at which a
 * backlog was last seen to shrink. Where there was none, the pace is that of the slower of two stages: preparing on the
 * CPU, or computing at the workers, each measured as it runs. The prediction is corrected by the average error of the
 * latest ones, late answers included. The worst error of late decides which part of its time a request may be expected
 * to take. A longer queue answers no more requests, only later.
 */
export function createAdmission(now: () => number = () => performance.now()): Admission {
  const states = new WeakMap<Scorer, State>();
  const of = (scorer: Scorer): State => {
    let state = states.get(scorer);
    if (state === undefined) states.set(scorer, (state = createState(now())));
    return state;
  };
  let refusedAt = -Infinity;
  /** The prediction in ms, 0 while nothing is known. Throws where that is too late. */
  const require = (scorer: Scorer, { frames, withinMs }: Wanted): number => {
    requireWorker(scorer);
    const state = of(scorer);
    const at = now();
    const [oldest] = state.waiting;
    if (oldest !== undefined) state.margin.observe(oldest, at - oldest.started, at);
    const expected = predictMs(scorer, state, frames, at);
    const allowed = state.margin.allowedMs(withinMs, at);
    if (withinMs <= 0 || isTooLate(state, frames, expected, allowed)) {
      refusedAt = at;
      throw overloaded(expected, withinMs, allowed);
    }
    return expected ?? 0;
  };
  return {
    predict: (scorer, frames = 1) => predictMs(scorer, of(scorer), frames, now()),
    refusing: () => now() - refusedAt < REFUSED_MS,
    check: (scorer, withinMs) => void require(scorer, { frames: 1, withinMs }),
    admit(scorer, wanted) {
      const predictedMs = require(scorer, wanted);
      return openTicket({ order: scorer.ticket(), predictedMs, wanted, state: of(scorer), now });
    },
  };
}

const createState = (at: number): State => ({
  frames: 0,
  bias: 1,
  clipFrames: CLIP_FRAMES,
  margin: new WaitMargin(),
  pace: new BacklogPace(at),
  waiting: new Set(),
});

function requireWorker(scorer: Scorer): void {
  const { engine } = scorer.load();
  if (engine !== undefined && engine.workers.every(({ ready }) => !ready))
    throw new QalignError('NO_WORKER', 'No worker is ready; they are being started again.', {
      details: { retry_after_s: 5, reason: 'no_worker' },
    });
}

/** When `frames` that came now would be answered, in ms; undefined while nothing is known. */
function predictMs(scorer: Scorer, state: State, frames: number, at: number): number | undefined {
  const pace = paceOf(scorer, state.frames + frames);
  if (pace === undefined) return undefined;
  const seen = state.frames < BACKLOG ? undefined : state.pace.perFrameMs(pace.nextFrames, BACKLOG, at);
  return state.bias * (pace.onceMs + (seen ?? pace.perFrameMs) * (state.frames + frames + pace.bulkFrames));
}

/** The only request is never too late: nothing is ahead of it. */
function isTooLate(state: State, frames: number, expectedMs: number | undefined, allowedMs: number): boolean {
  if (state.frames <= 0) return false;
  return expectedMs === undefined ? state.frames + frames > UNKNOWN_FRAMES : expectedMs > allowedMs;
}

/** The queue shrinks by one ms in each: after what is too much of it a request like this is let in. */
function overloaded(expectedMs: number | undefined, withinMs: number, allowedMs: number): QalignError {
  const waitS = Math.max(1, ((expectedMs ?? withinMs) - Math.max(0, allowedMs)) / 1000);
  return new QalignError(
    'OVERLOADED',
    `The answer would take about ${Math.ceil((expectedMs ?? withinMs) / 1000)} s and is wanted within ${Math.max(0, withinMs / 1000).toFixed(1)} s; try again in ${Math.ceil(waitS)} s.`,
    { details: { retry_after_s: waitS, reason: 'overload' } },
  );
}

/** Takes the place of its frames in the state until its `done` and `close` give it back. */
function openTicket({
  order,
  predictedMs,
  wanted: { frames, withinMs, waitsForOthers = false },
  state,
  now,
}: {
  order: number;
  predictedMs: number;
  wanted: Wanted;
  state: State;
  now: () => number;
}): Ticket {
  const started = now();
  const biasThen = state.bias;
  const waiting = { started, predictedMs, withinMs };
  let left = frames;
  const grow = (more: number): void => {
    left += more;
    state.frames += more;
  };
  if (state.frames < BACKLOG) state.pace.begin(started);
  state.frames += frames;
  if (predictedMs > 0 && !waitsForOthers) state.waiting.add(waiting);
  return {
    order,
    predictedMs,
    foundClip() {
      const expected = Math.round(state.clipFrames);
      state.waiting.delete(waiting); // it takes longer than was predicted for a picture
      grow(expected - 1);
      return expected;
    },
    countedClip(expected, seen) {
      state.clipFrames += CLIP_WEIGHT * (seen - state.clipFrames);
      grow(seen - expected);
    },
    done(count, outcome = 'scored') {
      const some = Math.min(left, count);
      if (some === 0) return;
      const at = now();
      // only a backlog says how fast it can go
      if (state.frames >= BACKLOG) state.pace.answered(outcome === 'late' ? 0 : some, at);
      else state.pace.begin(at);
      grow(-some);
      if (left > 0 || !state.waiting.delete(waiting) || outcome === 'failed') return;
      state.margin.observe(waiting, at - started, at);
      // compared with the uncorrected prediction: correcting a corrected one oscillates, with the delay of a queue
      const ratio = ((at - started) / predictedMs) * biasThen;
      state.bias += BIAS_WEIGHT * (Math.min(2, Math.max(0.5, ratio)) - state.bias);
    },
    close() {
      grow(-left); // unanswered: no pace of ours
      state.waiting.delete(waiting);
    },
  };
}

/**
 * What a frame costs when many wait, what a request costs by itself, what of the bulk lane goes first, and how many
 * frames the workers answer next.
 */
function paceOf(
  scorer: Scorer,
  frames: number,
): { perFrameMs: number; onceMs: number; bulkFrames: number; nextFrames: number } | undefined {
  const { engine, preparing } = scorer.load();
  if (engine === undefined) return undefined;
  const lines = engine.workers.flatMap(({ ready, latency }) => (ready && latency !== undefined ? [latency] : []));
  if (lines.length === 0) return undefined;
  const batch = Math.max(1, Math.min(engine.maxBatchFrames, frames / lines.length));
  const perSecond = lines.reduce((sum, { baseMs, perFrameMs }) => sum + 1 / (baseMs / batch + perFrameMs), 0);
  const prepareMs = preparing?.pictureMs ?? 0;
  const bulkWaits = engine.queuedFrames.bulk > 0;
  const perFrameMs = Math.max(1 / perSecond, prepareMs / (preparing?.threads ?? 1)) * (bulkWaits ? AGEING_SHARE : 1);
  // a worker has one batch running and one waiting; where bulk waits they are bulk's
  const bulkFrames = bulkWaits ? Math.min(engine.runningFrames, engine.maxBatchFrames * 2 * lines.length) : 0;
  const onceMs = prepareMs + Math.max(...lines.map(({ baseMs }) => baseMs));
  return { perFrameMs, onceMs, bulkFrames, nextFrames: Math.max(1, engine.runningFrames / 2) };
}

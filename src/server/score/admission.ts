import { QalignError } from '../../base/errors.js';
import { AGEING } from '../../base/lane.js';
import type { Scorer } from '../../recipes/score/scorer.js';

/** Frames that are admitted before anything is known about a model. */
const UNKNOWN_FRAMES = 64;
/** What a clip is taken for until it is decoded: the paper's clips have 5 to 12 s at one frame a second. */
export const CLIP_FRAMES = 8;
/** While bulk waits it gets one batch of every nine, so interactive frames take this much longer. */
const AGEING_SHARE = (AGEING + 1) / AGEING;

/** An admitted request. */
export interface Ticket {
  readonly order: number;
  /** When it is expected to be answered, in ms from now. */
  readonly predictedMs: number;
  /** It costs more frames than was thought: a clip was found among its items. */
  grow(frames: number): void;
  /**
   * So many of its frames are answered. `inTime`: false for those that were given up, which say nothing good about the
   * pace.
   */
  done(frames: number, inTime?: boolean): void;
  /**
   * All of it is. `heard`: the client waited to the end, so that the prediction can learn from it, also from one that
   * came too late.
   */
  close(heard: boolean): void;
}

export interface Admission {
  /** @throws QalignError NO_WORKER, OVERLOADED (with retry_after_s) */
  admit(scorer: Scorer, frames: number, withinMs: number): Ticket;
  /** The same question without taking a place: asked before a body is read. */
  check(scorer: Scorer, withinMs: number): void;
  /** When a picture that came now would be answered, in ms; undefined while nothing is known. */
  predict(scorer: Scorer, frames?: number): number | undefined;
  /** Requests were refused just now. */
  readonly refusing: () => boolean;
}

/**
 * The share of its time that a request may be expected to take. A longer queue answers no more requests, only later.
 * If the machine slows down to half its speed meanwhile, admitted requests are still answered in time.
 */
const MARGIN = 0.5;
/** From so many frames on there is a backlog, and how fast it shrinks is what counts. */
const BACKLOG = 8;
/** A pace is forgotten by half in two of these. */
const FORGET_MS = 3_000;

/** So long after a refusal the next is likely. */
const REFUSED_MS = 100;

interface State {
  /** Let in and not answered yet. */
  frames: number;
  /** How right the latest predictions were. */
  bias: number;
  /** The pace at which a backlog was answered: frames and the time they took, older ones counting less. */
  drained: { frames: number; ms: number };
  drainedAt: number;
}

/**
 * Admits what can be answered in time. The predicted wait is the admitted and unanswered frames at the pace at which a
 * backlog was last seen to shrink. Where there was none, the pace is that of the slower of two stages: preparing on the
 * CPU, or computing at the workers, each measured as it runs. The prediction is corrected by the errors of the latest
 * ones, late answers included.
 */
export function createAdmission(now: () => number = () => performance.now()): Admission {
  const states = new WeakMap<Scorer, State>();
  const of = (scorer: Scorer): State => {
    let state = states.get(scorer);
    if (state === undefined)
      states.set(scorer, (state = { frames: 0, bias: 1, drained: { frames: 0, ms: 0 }, drainedAt: now() }));
    return state;
  };
  let refusedAt = -Infinity;
  /** The prediction in ms, 0 while nothing is known. Throws where that is too late. */
  const require = (scorer: Scorer, frames: number, withinMs: number): number => {
    requireWorker(scorer);
    const state = of(scorer);
    const expected = predictMs(scorer, state, frames);
    if (withinMs <= 0 || isTooLate(state, frames, expected, withinMs)) {
      refusedAt = now();
      throw overloaded(expected, withinMs);
    }
    return expected ?? 0;
  };
  return {
    predict: (scorer, frames = 1) => predictMs(scorer, of(scorer), frames),
    refusing: () => now() - refusedAt < REFUSED_MS,
    check: (scorer, withinMs) => void require(scorer, 1, withinMs),
    admit(scorer, frames, withinMs) {
      const predictedMs = require(scorer, frames, withinMs);
      return openTicket({ order: scorer.ticket(), predictedMs, frames, state: of(scorer), now });
    },
  };
}

function requireWorker(scorer: Scorer): void {
  const { engine } = scorer.load();
  if (engine !== undefined && engine.workers.every(({ ready }) => !ready))
    throw new QalignError('NO_WORKER', 'No worker is ready; they are being started again.', {
      details: { retry_after_s: 5, reason: 'no_worker' },
    });
}

/** When `frames` that came now would be answered, in ms; undefined while nothing is known. */
function predictMs(scorer: Scorer, state: State, frames: number): number | undefined {
  const pace = paceOf(scorer, state.frames + frames);
  if (pace === undefined) return undefined;
  const seen =
    state.frames >= BACKLOG && state.drained.frames >= BACKLOG
      ? state.drained.ms / state.drained.frames
      : pace.perFrameMs;
  return (
    state.bias *
    (pace.onceMs +
      Math.max(seen, state.frames >= BACKLOG ? 0 : pace.perFrameMs) * (state.frames + frames + pace.bulkFrames))
  );
}

/** The only request is never too late: nothing is ahead of it. */
function isTooLate(state: State, frames: number, expectedMs: number | undefined, withinMs: number): boolean {
  if (state.frames <= 0) return false;
  return expectedMs === undefined ? state.frames + frames > UNKNOWN_FRAMES : expectedMs > withinMs * MARGIN;
}

function overloaded(expectedMs: number | undefined, withinMs: number): QalignError {
  const waitS = Math.max(1, ((expectedMs ?? withinMs * 2) - withinMs * MARGIN) / 1000);
  return new QalignError(
    'OVERLOADED',
    `The answer would take about ${Math.ceil((expectedMs ?? withinMs) / 1000)} s and is wanted within ${Math.max(0, withinMs / 1000).toFixed(1)} s; try again in ${Math.ceil(waitS)} s.`,
    { details: { retry_after_s: waitS, reason: 'overload' } },
  );
}

/** Takes the place of `frames` in the state until its `done` and `close` give it back. */
function openTicket({
  order,
  predictedMs,
  frames,
  state,
  now,
}: {
  order: number;
  predictedMs: number;
  frames: number;
  state: State;
  now: () => number;
}): Ticket {
  const started = now();
  const biasThen = state.bias;
  let left = frames;
  if (state.frames < BACKLOG) state.drainedAt = started;
  state.frames += frames;
  return {
    order,
    predictedMs,
    grow(more) {
      left += more;
      state.frames += more;
    },
    done(count, inTime = true) {
      const some = Math.min(left, count);
      if (some === 0) return;
      drain(state, inTime ? some : 0, now());
      left -= some;
      state.frames -= some;
    },
    close(heard) {
      // what is left went away unanswered: no pace of ours
      state.frames -= left;
      left = 0;
      if (!heard || predictedMs <= 0) return;
      // compared with the uncorrected prediction: correcting a corrected one oscillates, with the delay of a queue
      const ratio = ((now() - started) / predictedMs) * biasThen;
      state.bias = state.bias * 0.95 + 0.05 * Math.min(2, Math.max(0.5, ratio));
    },
  };
}

/** Counts only where there is a backlog before and after: else nothing says that it went as fast as it can. */
function drain(state: State, frames: number, at: number): void {
  if (state.frames >= BACKLOG) {
    const ms = at - state.drainedAt;
    const kept = 0.5 ** (ms / FORGET_MS);
    state.drained = { frames: state.drained.frames * kept + frames, ms: state.drained.ms * kept + ms };
  }
  state.drainedAt = at;
}

/** What a frame costs when many wait, what a request costs by itself, and what of the bulk lane goes first. */
function paceOf(
  scorer: Scorer,
  frames: number,
): { perFrameMs: number; onceMs: number; bulkFrames: number } | undefined {
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
  return { perFrameMs, onceMs: prepareMs + Math.max(...lines.map(({ baseMs }) => baseMs)), bulkFrames };
}

import { QalignError } from '../../base/errors.js';
import { AGEING } from '../../base/lane.js';
import type { Scorer } from '../../recipes/score/scorer.js';
import { BacklogPace } from './backlog-pace.js';
import { WaitMargin } from './wait-margin.js';

/** Frames that are admitted before anything is measured for a model. */
const UNKNOWN_FRAMES = 16;
/**
 * Frames that are assumed for the first clip until it is decoded. The paper's clips have 5 to 12 s at one frame a
 * second.
 */
const CLIP_FRAMES = 8;
/** Weight of the latest clip in the assumed length of the next. */
const CLIP_WEIGHT = 0.2;
/** While the bulk lane waits it gets one of every nine batches, so interactive frames take this much longer. */
const AGEING_SHARE = (AGEING + 1) / AGEING;

/** An admitted request. */
export interface Ticket {
  readonly order: number;
  /** Predicted time until the answer, in ms from now. */
  readonly predictedMs: number;
  /** Called when an item is a clip. Returns the number of frames that are assumed until it is decoded. */
  foundClip(): number;
  /** Called when a clip with `frames` assumed frames has `seen` frames. */
  countedClip(frames: number, seen: number): void;
  /** Called when a picture with `expected` assumed windows has `seen` windows. */
  countedWindows(expected: number, seen: number): void;
  /** Called when this many frames are answered. The prediction learns from the last frames of a request. */
  done(frames: number, outcome?: Outcome): void;
  /** Called when the request is answered or the client disconnected. */
  close(): void;
}

/** For `failed` and `late`, it is unknown whether a frame was computed. */
export type Outcome = 'scored' | 'failed' | 'late';

/** A request for admission. */
export interface Wanted {
  readonly frames: number;
  /** Time until the deadline, in ms. */
  readonly withinMs: number;
  /**
   * The duration also depends on other hosts, for example where URLs are fetched. The prediction does not learn from
   * it.
   */
  readonly waitsForOthers?: boolean;
}

export interface Admission {
  /** @throws QalignError NO_WORKER, OVERLOADED (with retry_after_s) */
  admit(scorer: Scorer, wanted: Wanted): Ticket;
  /** The same check before a body is read. It does not admit the request. */
  check(scorer: Scorer, withinMs: number): void;
  /** Predicted time until a new picture is answered, in ms; undefined before anything is measured. */
  predict(scorer: Scorer, frames?: number): number | undefined;
  /** True if requests were refused within the last 100 ms. */
  readonly refusing: () => boolean;
}

/** From this many frames on there is a backlog, and its rate gives the prediction. */
const BACKLOG = 8;
/** Time after a refusal in which another is likely. */
const REFUSED_MS = 100;
/** Refusals this close to each other are one overload. */
const OVERLOAD_GAP_MS = 1_000;
/** An overload that lasts this long is not a burst. */
const LASTING_MS = 2_000;
/** During a lasting overload, the queue is at most this share of the deadline, or this number of batches per worker. */
const SHORT_SHARE = 0.1;
const SHORT_BATCHES = 2;
/** Weight of the latest answer in the bias. */
const BIAS_WEIGHT = 0.05;

interface Waiting {
  readonly started: number;
  readonly predictedMs: number;
  readonly withinMs: number;
}

interface State {
  /** Frames that are admitted and not answered. */
  frames: number;
  /** Average ratio of actual to predicted time of the latest answers. */
  bias: number;
  clipFrames: number;
  readonly margin: WaitMargin;
  /** First and latest refusal of the current overload, in ms. */
  readonly overload: { since: number; at: number };
  readonly pace: BacklogPace;
  /** Unanswered requests to learn from, oldest first. */
  readonly waiting: Set<Waiting>;
}

/**
 * Admits requests that can be answered in time. The predicted wait is the number of admitted, unanswered frames times
 * the time per frame of the last backlog. Without a backlog, it uses the slower of two measured stages: preparing on
 * the CPU or computing on the workers. The average error of the latest predictions corrects it, late answers included.
 * The worst recent error sets how much of its deadline a request can be predicted to take. A longer queue would not
 * answer more requests, only later ones.
 */
export function createAdmission(now: () => number = () => performance.now()): Admission {
  const states = new WeakMap<Scorer, State>();
  const of = (scorer: Scorer): State => {
    let state = states.get(scorer);
    if (state === undefined) states.set(scorer, (state = createState(now())));
    return state;
  };
  let refusedAt = -Infinity;
  /** Returns the prediction in ms, 0 before anything is measured. Throws where it is too late. */
  const require = (scorer: Scorer, { frames, withinMs }: Wanted): number => {
    requireWorker(scorer);
    const state = of(scorer);
    const at = now();
    const [oldest] = state.waiting;
    if (oldest !== undefined) state.margin.observe(oldest, at - oldest.started, at);
    const expected = predictMs(scorer, state, frames, at);
    const allowed = Math.min(state.margin.allowedMs(withinMs, at), shortQueueMs(scorer, state, withinMs, at));
    if (withinMs <= 0 || isTooLate(state, frames, expected, allowed)) {
      refusedAt = at;
      noteRefusal(state, at);
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
  overload: { since: -Infinity, at: -Infinity },
  pace: new BacklogPace(at),
  waiting: new Set(),
});

function noteRefusal({ overload }: State, at: number): void {
  if (at - overload.at > OVERLOAD_GAP_MS) overload.since = at;
  overload.at = at;
}

/**
 * Longest queue in ms during a lasting overload, otherwise unlimited. A longer queue does not raise the throughput, and
 * one stall of the machine makes all of it late. A burst may use the whole queue.
 */
function shortQueueMs(scorer: Scorer, state: State, withinMs: number, at: number): number {
  const { since, at: latest } = state.overload;
  if (at - latest > OVERLOAD_GAP_MS || at - since < LASTING_MS) return Infinity;
  const { engine } = scorer.load();
  const frames = SHORT_BATCHES * (engine?.maxBatchFrames ?? 0) * (engine?.workers.length ?? 0);
  const perFrameMs = state.pace.perFrameMs(1, BACKLOG, at) ?? paceOf(scorer, frames)?.perFrameMs ?? 0;
  return Math.max(SHORT_SHARE * withinMs, frames * perFrameMs);
}

function requireWorker(scorer: Scorer): void {
  const { engine } = scorer.load();
  if (engine !== undefined && engine.workers.every(({ ready }) => !ready))
    throw new QalignError('NO_WORKER', 'No worker is ready; the service is restarting them.', {
      details: { retry_after_s: 5, reason: 'no_worker' },
    });
}

/** Predicted time in ms until `frames` new frames are answered; undefined before anything is measured. */
function predictMs(scorer: Scorer, state: State, frames: number, at: number): number | undefined {
  const pace = paceOf(scorer, state.frames + frames);
  if (pace === undefined) return undefined;
  const seen = state.frames < BACKLOG ? undefined : state.pace.perFrameMs(pace.nextFrames, BACKLOG, at);
  return state.bias * (pace.onceMs + (seen ?? pace.perFrameMs) * (state.frames + frames + pace.bulkFrames));
}

/** A single request is never too late: no other is ahead of it. */
function isTooLate(state: State, frames: number, expectedMs: number | undefined, allowedMs: number): boolean {
  if (state.frames <= 0) return false;
  return expectedMs === undefined ? state.frames + frames > UNKNOWN_FRAMES : expectedMs > allowedMs;
}

/** The queue shrinks by one ms each ms: after the excess time, an equal request is admitted. */
function overloaded(expectedMs: number | undefined, withinMs: number, allowedMs: number): QalignError {
  const waitS = Math.max(1, ((expectedMs ?? withinMs) - Math.max(0, allowedMs)) / 1000);
  return new QalignError(
    'OVERLOADED',
    `The answer would take about ${Math.ceil((expectedMs ?? withinMs) / 1000)} s, and the deadline is in ${Math.max(0, withinMs / 1000).toFixed(1)} s; try again in ${Math.ceil(waitS)} s.`,
    { details: { retry_after_s: waitS, reason: 'overload' } },
  );
}

/** Counts the frames of a request in the state until `done` and `close` return them. */
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
  let isClosed = false; // items may finish after their client has disconnected
  const grow = (more: number): void => {
    if (isClosed) return;
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
      state.waiting.delete(waiting); // A clip takes longer than the predicted time of a picture.
      grow(expected - 1);
      return expected;
    },
    countedWindows(expected, seen) {
      grow(seen - expected);
    },
    countedClip(expected, seen) {
      state.clipFrames += CLIP_WEIGHT * (seen - state.clipFrames);
      grow(seen - expected);
    },
    done(count, outcome = 'scored') {
      const some = Math.min(left, count);
      if (some === 0 || isClosed) return;
      const at = now();
      // Only a backlog shows the maximum rate.
      if (state.frames >= BACKLOG) state.pace.answered(outcome === 'late' ? 0 : some, at);
      else state.pace.begin(at);
      grow(-some);
      if (left > 0 || !state.waiting.delete(waiting) || outcome === 'failed') return;
      state.margin.observe(waiting, at - started, at);
      // Compares with the uncorrected prediction: correcting a corrected one would oscillate with the delay of the
      // queue.
      const ratio = ((at - started) / predictedMs) * biasThen;
      state.bias += BIAS_WEIGHT * (Math.min(2, Math.max(0.5, ratio)) - state.bias);
    },
    close() {
      grow(-left); // Unanswered frames do not affect the rate.
      isClosed = true;
      state.waiting.delete(waiting);
    },
  };
}

/** Time per frame under load, fixed time per request, bulk frames that go first, and frames of the next answers. */
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
  // A worker has one running and one waiting batch; where bulk waits, both are bulk batches.
  const bulkFrames = bulkWaits ? Math.min(engine.runningFrames, engine.maxBatchFrames * 2 * lines.length) : 0;
  const onceMs = prepareMs + Math.max(...lines.map(({ baseMs }) => baseMs));
  return { perFrameMs, onceMs, bulkFrames, nextFrames: Math.max(1, engine.runningFrames / 2) };
}

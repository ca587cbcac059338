/** The boundary of src/server/score: scores a request within its deadline; independent of routes, jobs and runs. */
import { isFailure, stateOf, warningsOf, type ScoreOutcome } from '../../api/result.js';
import { mapOptionsOf, strayMapSetting } from '../../api/quality-map.js';
import type { ScoreAnswer, ScoredInput, ScoreFields } from '../../api/score.js';
import { QalignError } from '../../base/errors.js';
import { deadline } from '../../base/first-signal.js';
import type { Task } from '../../prompts/subject.js';
import { leavesGaps, MAP_LIMITS, type MapOptions } from '../../scoring/quality-map.js';
import { failure } from '../../recipes/score/score-source.js';
import type { Scorer, ScoreSource } from '../../recipes/score/scorer.js';
import type { Caller } from '../http/caller.js';
import { errorBody } from '../http/error-handler.js';
import { fileRules } from '../http/path-root.js';
import { withoutPath } from '../http/redact-paths.js';
import type { Cleanup } from '../http/upload.js';
import type { Metrics } from '../metrics.js';
import type { Admission, Ticket } from './admission.js';
import type { ModelPool } from './model-pool.js';
import { mediaLimits, nameOf, toSource } from './request-source.js';
import type { RequestServices, ScoreRequest } from './score-request.js';
import type { Traces } from '../traces/traces.js';

/** Dependencies of scoring a request. */
export interface ScoreServices extends RequestServices {
  readonly models: ModelPool;
  readonly admission: Admission;
  readonly metrics: Pick<Metrics, 'countItem' | 'predictedWait'>;
  readonly traces: Pick<Traces, 'stagesOf'>;
  /** Addresses that URLs can lead to; undefined: public ones. */
  readonly isAllowedAddress: ((address: string) => boolean) | undefined;
}

/** Settings that the items of a request share. */
interface ItemContext {
  readonly call: Caller;
  readonly request: ScoreRequest;
  readonly services: ScoreServices;
  readonly scorer: Scorer;
  readonly tasks: readonly Task[];
  readonly map: MapOptions | undefined;
  /** Expected number of windows of a picture; 0 without maps. */
  readonly windows: number;
  readonly ticket: Ticket;
  /** Aborts when the client disconnects or the deadline passes. */
  readonly signal: AbortSignal;
  /** Aborts when the deadline passes. */
  readonly late: AbortSignal;
}

/**
 * Scores the items of a request concurrently and yields each as it finishes. Ends early only when the client
 * disconnects.
 */
export async function* scoreItems(
  call: Caller,
  request: ScoreRequest,
  services: ScoreServices,
): AsyncGenerator<ScoredInput, void, undefined> {
  const { config, models, admission, metrics } = services;
  const scorer = models.get(request.model);
  // The deadline counts from the arrival of the request, not of its body.
  const withinMs = Math.min(request.timeout_ms ?? config.request_ms, config.request_ms) - call.ageMs();
  const map = mapOf(request);
  // most pictures are larger than all windows together
  const windows = map === undefined ? 0 : (map.max ?? MAP_LIMITS.max.usual);
  const ticket = admission.admit(scorer, {
    frames: request.items.length * (1 + windows),
    withinMs,
    waitsForOthers: request.items.some((item) => 'url' in item && item.url !== undefined),
  });
  metrics.predictedWait.observe(ticket.predictedMs / 1000);
  const { signal, late, release } = deadline(
    withinMs,
    () => new QalignError('DEADLINE_EXCEEDED', 'The request was not answered in time.'),
    call.gone,
  );
  try {
    const tasks = request.tasks ?? scorer.defaultTasks;
    const context = { call, request, services, scorer, tasks, map, windows, ticket, signal, late };
    yield* asTheyFinish(request.items.map((_, index) => scoreOne(index, context)));
  } finally {
    release();
    ticket.close();
  }
}

async function scoreOne(index: number, context: ItemContext): Promise<ScoredInput> {
  const { call, request, services, tasks, map, windows, ticket, signal, late } = context;
  const { config, metrics, isAllowedAddress: isAllowed, spool, memory } = services;
  const cleanup: Cleanup = [];
  const item = request.items[index] as ScoreRequest['items'][number];
  const input = nameOf(item, index);
  const limits = mediaLimits(config);
  let frames = 1 + windows;
  let results: ScoreOutcome[];
  let media: ScoreSource['media'] | undefined;
  try {
    const rules = {
      files: fileRules(config),
      allowUrls: config.allow_urls,
      limits,
      isAllowed,
      storage: { spool, memory: memory.of(call.client.id) },
    };
    const source = await toSource(item, index, rules, signal, cleanup);
    media = source.media;
    if (source.kind === 'video') {
      ticket.countedWindows(windows, 0);
      frames = ticket.foundClip();
    }
    results = await context.scorer.score(source, {
      tasks,
      scale: request.scale,
      prompt: request.prompt,
      strict: request.strict,
      map,
      perFrame: request.per_frame,
      perFrameWindow: request.per_frame_window,
      limits,
      lane: 'interactive',
      ticket: ticket.order,
      traceparent: call.traceparent,
      onStage: services.traces.stagesOf(call.traceparent, index),
      signal,
    });
  } catch (error) {
    call.gone.throwIfAborted();
    const failed = late.aborted
      ? new QalignError('DEADLINE_EXCEEDED', `${input} was not scored in time.`)
      : toItemError(error);
    results = tasks.map((task) => failure({ input }, task, failed));
  } finally {
    await Promise.all(cleanup.map(async (one) => one()));
  }
  const scored = results.flatMap((outcome) => (isFailure(outcome) ? [] : [outcome]))[0];
  if (scored?.frames !== undefined) {
    ticket.countedClip(frames, scored.frames);
    frames = scored.frames;
  } else if (scored?.map !== undefined) {
    const seen = scored.map.values.length;
    ticket.countedWindows(windows, seen);
    frames = 1 + seen;
  }
  ticket.done(frames, late.aborted ? 'late' : scored === undefined ? 'failed' : 'scored');
  const answer = {
    index,
    input,
    ok: !results.some(isFailure),
    results: results.map((outcome) => withoutPath(outcome, media)),
  };
  metrics.countItem(stateOf(results));
  return answer;
}

/** @throws QalignError BODY_INVALID for a setting of maps without map, or a stride that leaves gaps */
export function mapOf(settings: ScoreFields): MapOptions | undefined {
  const stray = strayMapSetting(settings);
  if (stray !== undefined) throw new QalignError('BODY_INVALID', `${stray} needs map: true.`);
  const map = mapOptionsOf(settings);
  if (map !== undefined && leavesGaps(map))
    throw new QalignError(
      'BODY_INVALID',
      `map_stride ${map.stride} must be at most map_window ${map.window}, or parts of the picture are left out.`,
    );
  return map;
}

/** A request that is invalid as a whole (unknown prompt, task of another model) is refused as a whole. */
function toItemError(error: unknown): QalignError {
  if (!(error instanceof QalignError) || error.code === 'CONFIG_NOT_FOUND' || error.code === 'TASK_UNSUPPORTED')
    throw error;
  return error;
}

/** Builds the answer. If nothing was scored, it has the first failure and its status. */
export function toAnswer(
  { requestId }: Pick<Caller, 'requestId'>,
  unordered: readonly ScoredInput[],
): { status: number; body: ScoreAnswer } {
  const items = [...unordered].sort((a, b) => a.index - b.index);
  const outcomes = items.flatMap(({ results }) => results);
  const failures = outcomes.filter(isFailure);
  const counts = {
    scored: outcomes.length - failures.length,
    failed: failures.length,
    warned: outcomes.filter((outcome) => warningsOf(outcome).length > 0).length,
  };
  const first = failures[0];
  if (first === undefined || counts.scored > 0) return { status: 200, body: { items, ...counts } };
  const error = new QalignError(first.error.code as QalignError['code'], first.error.message);
  return { status: error.httpStatus, body: { items, ...counts, ...errorBody(error, requestId) } };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function* asTheyFinish<T>(promises: readonly Promise<T>[]): AsyncGenerator<T, void, undefined> {
  const waiting = new Map(promises.map((promise, key) => [key, promise.then((value) => ({ key, value }))]));
  // The rejection is handled below, or no code listens any more.
  for (const one of waiting.values()) one.catch(() => {});
  while (waiting.size > 0) {
    const { key, value } = await Promise.race(waiting.values());
    waiting.delete(key);
    yield value;
  }
}

import { QalignError } from '../../base/errors.js';
import { deadline } from '../../base/first-signal.js';
import type { Task } from '../../prompts/conversation.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';
import type { Scorer, ScoreSource } from '../../recipes/score/scorer.js';
import { CLIP_FRAMES, type Ticket } from './admission.js';
import { errorBody } from '../http/error-handler.js';
import type { Tidy } from '../http/upload.js';
import { mediaLimits, nameOf, toSource } from './request-source.js';
import type { Call } from '../route.js';
import type { ScoreAnswer, ScoredInput } from '../../api/score.js';
import type { ScoreOrder } from './score-request.js';

/** Scores the items of an order side by side and gives each as it finishes. Ends early only when the client is gone. */
export async function* scoreItems(call: Call, order: ScoreOrder): AsyncGenerator<ScoredInput, void, undefined> {
  const { config, models, admission, metrics } = call.services;
  const scorer = models.get(order.model);
  // its time runs from when the request came, not from when its body was read
  const withinMs = Math.min(order.timeout_ms ?? config.request_ms, config.request_ms) - call.ageMs();
  const ticket = admission.admit(scorer, order.items.length, withinMs);
  metrics.predictedWait.observe(ticket.predictedMs / 1000);
  const { signal, late, release } = deadline(
    withinMs,
    () => new QalignError('DEADLINE_EXCEEDED', 'The request was not answered in time.'),
    call.gone,
  );
  try {
    const tasks = order.tasks ?? scorer.defaultTasks;
    yield* asTheyFinish(
      order.items.map((_, index) => scoreOne(call, scorer, order, index, tasks, ticket, signal, late)),
    );
  } finally {
    release();
    ticket.close(!call.gone.aborted);
  }
}

async function scoreOne(
  call: Call,
  scorer: Scorer,
  order: ScoreOrder,
  index: number,
  tasks: readonly Task[],
  ticket: Ticket,
  signal: AbortSignal,
  late: AbortSignal,
): Promise<ScoredInput> {
  const { config, metrics, isAllowedAddress: isAllowed, spool, memory } = call.services;
  const tidy: Tidy = [];
  const item = order.items[index] as ScoreOrder['items'][number];
  const input = nameOf(item, index);
  const limits = mediaLimits(config);
  let frames = 1;
  let results: ScoreOutcome[];
  let media: ScoreSource['media'] | undefined;
  try {
    const source = await toSource(
      item,
      index,
      { root: config.root, allowUrls: config.allow_urls, limits, isAllowed, hold: { spool, memory } },
      signal,
      tidy,
    );
    media = source.media;
    if (source.kind === 'video') {
      ticket.grow(CLIP_FRAMES - frames);
      frames = CLIP_FRAMES;
    }
    results = await scorer.score(source, {
      tasks,
      scale: order.scale,
      prompt: order.prompt,
      limits,
      lane: 'interactive',
      ticket: ticket.order,
      traceparent: call.traceparent,
      signal,
    });
  } catch (error) {
    call.gone.throwIfAborted();
    const { code, message } = late.aborted
      ? new QalignError('DEADLINE_EXCEEDED', `${input} was not scored in time.`)
      : toItemError(error);
    results = tasks.map((task) => ({ input, task, error: { code, message } }));
  } finally {
    await Promise.all(tidy.map(async (one) => one()));
  }
  ticket.done(frames, !late.aborted);
  const answer = {
    index,
    input,
    ok: !results.some(isFailure),
    results: results.map((outcome) => withoutPath(outcome, media)),
  };
  metrics.items.inc({ outcome: answer.ok ? 'scored' : 'failed' });
  return answer;
}

/** An order that is wrong as a whole (unknown prompt, task of another model) is refused as a whole. */
function toItemError(error: unknown): QalignError {
  if (!(error instanceof QalignError) || error.code === 'CONFIG_NOT_FOUND' || error.code === 'TASK_UNSUPPORTED')
    throw error;
  return error;
}

/** Messages of decoders name the file, and where the service keeps it is nobody's business. */
export function withoutPath(outcome: ScoreOutcome, media: ScoreSource['media'] | undefined): ScoreOutcome {
  if (!isFailure(outcome) || typeof media !== 'string') return outcome;
  return { ...outcome, error: { ...outcome.error, message: outcome.error.message.replaceAll(media, outcome.input) } };
}

/** The answer as a whole. Where nothing was scored it carries the first failure and has its status. */
export function toAnswer(call: Call, unordered: readonly ScoredInput[]): { status: number; body: ScoreAnswer } {
  const items = [...unordered].sort((a, b) => a.index - b.index);
  const outcomes = items.flatMap(({ results }) => results);
  const failures = outcomes.filter(isFailure);
  const counts = { scored: outcomes.length - failures.length, failed: failures.length };
  const first = failures[0];
  if (first === undefined || counts.scored > 0) return { status: 200, body: { items, ...counts } };
  const error = new QalignError(first.error.code as QalignError['code'], first.error.message);
  return { status: error.httpStatus, body: { items, ...counts, ...errorBody(error, call.requestId) } };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function* asTheyFinish<T>(promises: readonly Promise<T>[]): AsyncGenerator<T, void, undefined> {
  const waiting = new Map(promises.map((promise, key) => [key, promise.then((value) => ({ key, value }))]));
  for (const one of waiting.values()) one.catch(() => {}); // heard below, or nobody listens any more
  while (waiting.size > 0) {
    const { key, value } = await Promise.race(waiting.values());
    waiting.delete(key);
    yield value;
  }
}

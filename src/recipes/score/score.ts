/**
 * Entry point of src/recipes/score: builds a scorer from model, prompt, media and engine. It does not know commands or
 * HTTP.
 */
import type { ScoreOutcome } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import { orderedMap } from '../../base/ordered-map.js';
import { defaultTasks, resolveCallOptions } from './call-options.js';
import { scoreSource } from './score-source.js';
import {
  readTask,
  requireKnownTasks,
  requireScoreManyOptions,
  requireScoreOptions,
  requireScorerOptions,
} from './scorer-options.js';
import type {
  ScoreInput,
  ScoreManyOptions,
  ScoreOptions,
  Scorer,
  ScorerOptions,
  ScorerParts,
  ScoreSource,
} from './scorer.js';
import { closeSession, openSession, preparingLoad, versionOf, type ScoringSession } from './session.js';
import { orCancelled } from './stop-errors.js';

/**
 * Loads a model and returns a scorer. An error of one input becomes its outcome; only errors that affect all inputs are
 * thrown.
 */
export async function createScorerFrom(parts: ScorerParts, options: ScorerOptions = {}): Promise<Scorer> {
  requireScorerOptions(options);
  const session = await openSession(parts, options).catch((error: unknown) => {
    throw orCancelled(error, options.signal);
  });
  const { model, choice, prompt, scale, engine, inFlight } = session;
  const close = (): Promise<void> => closeSession(session);
  return {
    model,
    choice,
    prompt,
    scoreVersion: versionOf(session, prompt, scale),
    defaultTasks: defaultTasks(session),
    ticket: () => engine.ticket?.() ?? 0,
    width: () => inFlight.width(),
    load: () => ({ engine: engine.stats?.(), preparing: preparingLoad(session) }),
    workersRss: () => engine.stats?.().workers.map(({ rss_bytes }) => rss_bytes) ?? [],
    check: async (own) => {
      requireScoreOptions(own);
      (await resolveCallOptions(session, own)).release();
    },
    // an arrow function has one signature, so the overloads come from the interface
    score: ((input: ScoreInput, options: ScoreOptions = {}) => score(session, input, options)) as Scorer['score'],
    scoreMany: ((inputs: ScoreInputs, options: ScoreManyOptions = {}) =>
      scoreMany(session, inputs, options)) as Scorer['scoreMany'],
    close,
    [Symbol.asyncDispose]: close,
  };
}

type ScoreInputs = AsyncIterable<ScoreInput> | Iterable<ScoreInput>;

async function score(
  session: ScoringSession,
  input: ScoreInput,
  options: ScoreOptions,
): Promise<ScoreOutcome[] | ScoreOutcome> {
  const { own, single } = readTask(options);
  requireScoreOptions(own);
  const call = await resolveCallOptions(session, own);
  try {
    const outcomes = await scoreSource(session, await asSource(session, input), call.tasks, call);
    return single ? outcomes[0]! : outcomes;
  } catch (error) {
    throw orCancelled(error, call.signal);
  } finally {
    call.release();
  }
}

async function* scoreMany(
  session: ScoringSession,
  inputs: ScoreInputs,
  options: ScoreManyOptions,
): AsyncGenerator<ScoreOutcome[] | ScoreOutcome, void, undefined> {
  const { own, single } = readTask(options);
  requireScoreManyOptions(own);
  if (single && own.tasksOf !== undefined) throw new QalignError('USAGE', 'scoreMany takes task or tasksOf, not both.');
  const call = await resolveCallOptions(session, own);
  const scoreInput = async (input: ScoreInput): Promise<ScoreOutcome[]> => {
    const source = await asSource(session, input);
    const tasks = own.tasksOf?.(source) ?? call.tasks;
    requireKnownTasks(tasks);
    return tasks.length === 0 ? [] : scoreSource(session, source, tasks, call);
  };
  try {
    const outcomes = orderedMap(inputs, own.inFlight ?? session.inFlight.width(), scoreInput, call.signal);
    if (!single) yield* outcomes;
    else for await (const [outcome] of outcomes) yield outcome!;
  } catch (error) {
    throw orCancelled(error, call.signal);
  } finally {
    call.release();
  }
}

async function asSource(session: ScoringSession, input: ScoreInput): Promise<ScoreSource> {
  if (typeof input === 'string' || input instanceof Uint8Array) return session.toSource(input);
  if (typeof input !== 'object' || input === null || typeof input.input !== 'string')
    throw new QalignError('USAGE', `An input must be a path, a URL, bytes or a source, not a ${typeof input}.`);
  return input;
}

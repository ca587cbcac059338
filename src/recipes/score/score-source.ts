import type { ScoreFailure, ScoreOutcome, ScoreResult } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import { modelsThatDo, supports, type ModelChoice } from '../../config/models.js';
import type { PreparedMedia } from '../../media/preparer.js';
import type { Kind, Task } from '../../prompts/subject.js';
import { allows, renderPrompt, type PromptTemplate } from '../../prompts/render.js';
import { byLevel } from '../../scoring/levels.js';
import { scoreLogits } from '../../scoring/score.js';
import type { CallOptions } from './call-options.js';
import type { ScoreSource } from './scorer.js';
import type { ScoringSession } from './session.js';
import { isOfOneInput, orCancelled, scorerClosed } from './stop-errors.js';

/** One prompt as it was asked, and the model's answer to it. */
interface Answered {
  readonly text: string;
  readonly logits: number[];
  readonly logSumExp: number;
}

/** What the model said about one input, prompt by prompt, and how its pixels were made. */
interface Scored extends Pick<PreparedMedia, 'frames' | 'warnings'> {
  readonly answers: readonly Answered[];
}

/** One outcome a task, in their order. The tasks share one decoding and one visual encoding. */
export async function scoreSource(
  session: ScoringSession,
  source: ScoreSource,
  tasks: readonly Task[],
  call: CallOptions,
): Promise<ScoreOutcome[]> {
  const able = tasks.filter((task) => source.error !== undefined || canRate(session.choice, call.prompt, task, source));
  const texts = able.map((task) => renderPrompt(call.prompt, task, source.kind));
  const scored = able.length === 0 ? undefined : await ask(session, source, texts, call);
  return Promise.all(
    tasks.map(async (task): Promise<ScoreOutcome> => {
      const place = able.indexOf(task);
      if (place < 0 || scored === undefined)
        return failure(source.input, task, await unsupported(session.choice, call.prompt, task, source.kind));
      if (scored instanceof QalignError) return failure(source.input, task, scored);
      return result(session, source, task, call, scored, scored.answers[place] as Answered);
    }),
  );
}

function canRate(choice: ModelChoice, prompt: PromptTemplate, task: Task, { kind }: ScoreSource): boolean {
  return supports(choice, task, kind) && allows(prompt, task, kind);
}

/** What is wrong with this input alone is returned; what stops all of them is thrown. */
async function ask(
  session: ScoringSession,
  source: ScoreSource,
  texts: string[],
  call: CallOptions,
): Promise<Scored | QalignError> {
  if (source.error !== undefined) return source.error;
  const { signal, lane = 'bulk' } = call;
  try {
    return await session.inFlight.pass(source.kind, lane, () => prepareAndAsk(session, source, texts, call), signal);
  } catch (error) {
    if (signal?.aborted === true) throw orCancelled(error, signal);
    if (session.closed) throw scorerClosed(error); // not one failure for each of the inputs still to come
    if (isOfOneInput(error)) return error;
    throw error;
  }
}

async function prepareAndAsk(
  { preparer, engine, preprocessing }: ScoringSession,
  source: ScoreSource,
  texts: string[],
  { limits, lane = 'bulk', ticket, traceparent, signal }: CallOptions,
): Promise<Scored> {
  const { data, frames, warnings } = await preparer.prepare(source, {
    size: preprocessing.size,
    autoOrient: preprocessing.auto_orient,
    fps: preprocessing.fps ?? undefined,
    maxFrames: preprocessing.max_frames ?? undefined,
    limits,
    lane,
    signal,
  });
  const answers = await engine.score(
    { visuals: [{ frames, data }], prompts: texts },
    {
      lane,
      ...(ticket === undefined ? {} : { ticket }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(signal === undefined ? {} : { signal }),
    },
  );
  return { frames, warnings, answers: answers.map((answer, at) => ({ ...answer, text: texts[at] as string })) };
}

function result(
  { model, preprocessing }: ScoringSession,
  { input, kind }: ScoreSource,
  task: Task,
  { scale, prompt, version }: CallOptions,
  { frames, warnings }: Scored,
  { text, logits, logSumExp }: Answered,
): ScoreResult {
  const { score, level, level_probs, level_mass, entropy, std } = scoreLogits(logits, logSumExp, scale);
  const { id, revision, weights_sha256, precision, device } = model;
  return {
    input,
    kind,
    task,
    score,
    scale,
    level,
    level_probs,
    logits: byLevel(logits),
    level_mass,
    entropy,
    std,
    ...(kind === 'video' ? { frames } : {}),
    model: { id, revision, weights_sha256, precision, device },
    prompt: { name: prompt.name, text },
    preprocessing: warnings.length === 0 ? preprocessing : { ...preprocessing, warnings: [...warnings] },
    score_version: version,
  };
}

function failure(input: string, task: Task, { code, message }: QalignError): ScoreFailure {
  return { input, task, error: { code, message } };
}

async function unsupported(choice: ModelChoice, prompt: PromptTemplate, task: Task, kind: Kind): Promise<QalignError> {
  const what = `${task} of ${kind === 'image' ? 'an image' : 'a video'}`;
  return new QalignError(
    'TASK_UNSUPPORTED',
    supports(choice, task, kind)
      ? `The prompt ${prompt.name} is not meant for ${what}; choose another with --prompt.`
      : `${choice.id} does not rate ${what}; models that do: ${await modelsThatDo(task, kind)}.`,
  );
}

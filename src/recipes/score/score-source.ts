import type { FrameCurve } from '../../api/frame-curve.js';
import { SCHEMA_VERSION, type ScoreFailure, type ScoreOutcome, type ScoreResult } from '../../api/result.js';
import type { QualityMap } from '../../api/quality-map.js';
import { QalignError } from '../../base/errors.js';
import { modelsThatDo, supports, type ModelChoice } from '../../config/models.js';
import type { ClipSource } from '../../engine/index.js';
import { exactName } from '../../media/media-input.js';
import type { ClipReader, PreparedMedia } from '../../media/preparer.js';
import type { Kind, Task } from '../../prompts/subject.js';
import { allows, renderQuestion, type ChatText, type PromptTemplate } from '../../prompts/render.js';
import { byLevel, LEVELS, type Level } from '../../scoring/levels.js';
import { scoreLogits } from '../../scoring/score.js';
import type { CallOptions } from './call-options.js';
import { curveQuestions, windowOf, type CurveQuestions } from './curve/frame-curve.js';
import { askWithMap } from './map/ask-windows.js';
import type { ScoreSource, ScoringAnswer, ScoringEngine } from './scorer.js';
import type { ScoringSession } from './session.js';
import { isOfOneInput, orCancelled, scorerClosed } from './stop-errors.js';

/** A rendered prompt and the model's answer to it. */
interface Answered extends Pick<ScoringAnswer, 'rendered' | 'levelTokens'> {
  readonly question: string | ChatText;
  readonly logits: number[];
  readonly logSumExp: number;
}

/** The model's answers to one input, in the order of its prompts, and how its pixels were prepared. */
interface Scored extends Omit<PreparedMedia, 'data'> {
  readonly answers: readonly Answered[];
  /** One map for each prompt; undefined without maps. */
  readonly maps?: readonly QualityMap[] | undefined;
  /** One curve for each answer, for a clip of a call that requests curves. */
  readonly curves: readonly FrameCurve[] | undefined;
}

/** Returns one outcome per task, in order. All tasks share one decoding and one visual encoding. */
export async function scoreSource(
  session: ScoringSession,
  source: ScoreSource,
  tasks: readonly Task[],
  call: CallOptions,
): Promise<ScoreOutcome[]> {
  const { place, ...others } = call;
  if (place === undefined) return scoreOne(session, source, tasks, call);
  try {
    if (source.kind === 'image' && call.map === undefined) return await scoreOne(session, source, tasks, call);
    place.group.giveUp(place.at);
    return await scoreOne(session, source, tasks, others);
  } finally {
    place.group.giveUp(place.at); // a picture that was not sent must not hold the others
  }
}

async function scoreOne(
  session: ScoringSession,
  source: ScoreSource,
  tasks: readonly Task[],
  call: CallOptions,
): Promise<ScoreOutcome[]> {
  const able = tasks.filter((task) => source.error !== undefined || canRate(session.choice, call.prompt, task, source));
  const scored = able.length === 0 ? undefined : await ask(session, source, able, call);
  return Promise.all(
    tasks.map(async (task): Promise<ScoreOutcome> => {
      const place = able.indexOf(task);
      if (place < 0 || scored === undefined)
        return failure(source, task, await unsupported(session.choice, call.prompt, task, source.kind));
      if (scored instanceof QalignError) return failure(source, task, scored);
      const { [place]: curve } = scored.curves ?? [];
      const { [place]: map } = scored.maps ?? [];
      return result(session, source, task, call, scored, scored.answers[place] as Answered, { curve, map });
    }),
  );
}

function canRate(choice: ModelChoice, prompt: PromptTemplate, task: Task, { kind }: ScoreSource): boolean {
  return supports(choice, task, kind) && allows(prompt, task, kind);
}

/** Returns an error of this input, but throws an error that affects all inputs. */
async function ask(
  session: ScoringSession,
  source: ScoreSource,
  tasks: readonly Task[],
  call: CallOptions,
): Promise<Scored | QalignError> {
  if (source.error !== undefined) return source.error;
  const { signal, lane = 'bulk' } = call;
  const gate = call.map !== undefined && source.kind === 'image' ? 'map' : source.kind;
  try {
    return await session.inFlight.pass(gate, lane, () => prepareAndAsk(session, source, tasks, call), signal);
  } catch (error) {
    if (signal?.aborted === true) throw orCancelled(error, signal);
    if (session.closed) throw scorerClosed(error); // avoids one failure for each remaining input
    if (isOfOneInput(error)) return error;
    throw error;
  }
}

async function prepareAndAsk(
  { preparer, engine, preprocessing, model }: ScoringSession,
  source: ScoreSource,
  tasks: readonly Task[],
  call: CallOptions,
): Promise<Scored> {
  const { limits, lane = 'bulk', ticket, traceparent, onStage, signal, strict, prompt, scale, map } = call;
  const texts = tasks.map((task) => renderQuestion(prompt, task, source.kind));
  const window = source.kind === 'video' ? windowOf(call) : undefined;
  const curve = window === undefined ? undefined : curveQuestions(prompt, tasks, window);
  const wanted = {
    size: preprocessing.size,
    views: preprocessing.views,
    preparation: model.preparation,
    autoOrient: preprocessing.auto_orient,
    fps: preprocessing.fps ?? undefined,
    maxFrames: preprocessing.max_frames ?? undefined,
    frameRule: preprocessing.frame_rule,
    limits,
    lane,
    signal,
  };
  const place = {
    lane,
    ...(call.place === undefined ? {} : { place: call.place }),
    ...(ticket === undefined ? {} : { ticket }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(onStage === undefined ? {} : { onStage }),
    ...(signal === undefined ? {} : { signal }),
  };
  const { onStage: _, ...placeOfWindows } = { ...place, ticket: ticket ?? engine.ticket?.() ?? 0 };
  const check = (warnings: readonly string[]): void => {
    if (strict === true) refuseDoubtful(warnings);
  };
  const start = performance.now();
  const decoded = (): void => onStage?.({ name: 'decode', start, end: performance.now() });
  const { answers, frameAnswers, ...made }: Asked =
    source.kind !== 'image'
      ? await askClip(
          await preparer.open(source, wanted),
          (clip) => engine.scoreClip(clip, place),
          { texts, curve, isWhole: model.preparation !== undefined },
          check,
          decoded,
        )
      : map !== undefined
        ? await askWithMap({
            prepare: (range) =>
              preparer.windows(source, { ...wanted, map, ...range }).finally(range.from === 0 ? decoded : () => {}),
            ask: (item) => engine.score(item, place),
            askWindow: (item) => engine.score(item, placeOfWindows),
            prompts: texts,
            scale,
            signal,
            check,
          })
        : await askPicture(
            await preparer.prepare(source, wanted).finally(decoded),
            (item) => engine.score(item, place),
            texts,
            check,
          );
  const warnings = [...made.warnings, ...tooLong(answers, made.frames, model.max_positions)];
  check(warnings);
  const curves =
    curve && texts.map((_, at) => curve.curveOf(at, frameAnswers?.answers ?? [], frameAnswers?.times ?? [], scale));
  return {
    ...made,
    warnings,
    curves,
    answers: answers.map((answer, at) => ({ ...answer, question: texts[at] as string | ChatText })),
  };
}

type Asked = Omit<PreparedMedia, 'data'> &
  Pick<Scored, 'maps'> & {
    readonly answers: readonly ScoringAnswer[];
    /** The answers about parts of a clip, and the times of its frames. */
    readonly frameAnswers?: { readonly answers: readonly ScoringAnswer[]; readonly times: readonly number[] };
  };

async function askPicture(
  { data, shape, ...made }: PreparedMedia,
  score: (item: Parameters<ScoringEngine['score']>[0]) => Promise<ScoringAnswer[]>,
  prompts: (string | ChatText)[],
  check: (warnings: readonly string[]) => void,
): Promise<Asked> {
  check(made.warnings);
  return { ...made, answers: await score({ visuals: [{ frames: made.frames, data, shape }], prompts }) };
}

/** The engine reads the clip chunk by chunk. Its warnings are complete after the last chunk. */
async function askClip(
  clip: ClipReader,
  score: (clip: ClipSource) => Promise<ScoringAnswer[]>,
  {
    texts,
    curve,
    isWhole,
  }: {
    readonly texts: readonly (string | ChatText)[];
    readonly curve: CurveQuestions | undefined;
    readonly isWhole: boolean;
  },
  check: (warnings: readonly string[]) => void,
  decoded: () => void,
): Promise<Asked> {
  let frames = 0;
  async function* counted(most: number): ReturnType<ClipSource['chunks']> {
    check(clip.warnings);
    let read = 0; // a cancelled read can still deliver a chunk
    for await (const chunk of clip.chunks(most)) {
      read += chunk.frames;
      yield chunk;
    }
    frames = read;
    decoded();
    check(clip.warnings);
  }
  try {
    const framePrompts = curve && ((count: number) => curve.prompts(count));
    const found = await score({ frames: clip.frames, prompts: texts, framePrompts, chunks: counted, isWhole });
    const { width, height, frameRule, warnings, times } = clip;
    const answers = found.slice(0, texts.length);
    const frameAnswers = { answers: found.slice(texts.length), times };
    return { frames, width, height, frameRule, warnings, answers, frameAnswers };
  } finally {
    await clip.close();
  }
}

/** Warns if the sequence is longer than the model supports: such scores are unreliable. */
function tooLong(answers: readonly ScoringAnswer[], frames: number, most: number | null | undefined): string[] {
  const positions = Math.max(...answers.map((answer) => answer.positions ?? 0));
  if (most === undefined || most === null || positions <= most) return [];
  const shown = frames === 1 ? 'its picture' : `its ${frames} frames`;
  return [`The prompt with ${shown} takes ${positions} positions; the model supports ${most}.`];
}

function result(
  session: ScoringSession,
  source: ScoreSource,
  task: Task,
  { scale, prompt, version }: CallOptions,
  { frames, frameRule, width, height, decoder, warnings }: Scored,
  answered: Answered,
  { curve, map }: { readonly curve: FrameCurve | undefined; readonly map: QualityMap | undefined },
): ScoreResult {
  const { logits, logSumExp } = answered;
  const { score, level, level_probs, level_mass, entropy, std } = scoreLogits(logits, logSumExp, scale);
  const { preprocessing } = session;
  const { kind } = source;
  return {
    ...inputFields(source, task),
    kind,
    score,
    scale,
    level,
    level_probs,
    logits: byLevel(logits),
    level_mass,
    entropy,
    std,
    ...(kind === 'video' ? { frames } : {}),
    ...(kind === 'video' && frameRule !== undefined ? { frame_rule: frameRule } : {}),
    ...(curve === undefined ? {} : { frame_curve: curve }),
    width,
    height,
    ...(map === undefined ? {} : { map }),
    warnings: [...warnings],
    model: modelFields(session),
    prompt: { name: prompt.name, ...promptFields(answered) },
    preprocessing: decoder === undefined ? preprocessing : { ...preprocessing, decoder },
    score_version: version,
  };
}

function modelFields({ model, choice }: ScoringSession): ScoreResult['model'] {
  const { id, revision, weights_sha256, precision, device, family, processor, processing_sha256 } = model;
  return {
    ...{ id, revision, weights_sha256, precision, device },
    ...(choice.taught === undefined ? {} : { taught: choice.taught }),
    ...(family === undefined ? {} : { family }),
    ...(processor === undefined ? {} : { processor }),
    ...(processing_sha256 === undefined ? {} : { processing_sha256 }),
  };
}

function promptFields({ question, rendered, levelTokens }: Answered): Omit<ScoreResult['prompt'], 'name'> {
  if (typeof question === 'string') return { text: question };
  const tokensOf = (level: Level): number[] => [...(levelTokens?.[level] ?? [])];
  const [excellent, good, fair, poor, bad] = LEVELS.map(tokensOf) as [number[], number[], number[], number[], number[]];
  return {
    ...question,
    ...(rendered === undefined ? {} : { rendered }),
    ...(levelTokens === undefined ? {} : { level_tokens: { excellent, good, fair, poor, bad } }),
  };
}

/** The row of an input that failed. */
export function failure(
  source: Pick<ScoreSource, 'input' | 'identity'> & Partial<Pick<ScoreSource, 'media'>>,
  task: Task,
  { code, message }: { readonly code: string; readonly message: string },
): ScoreFailure {
  return { ...inputFields(source, task), error: { code, message } };
}

/** The fields of the input in every row. */
function inputFields(
  { input, media, identity }: Parameters<typeof failure>[0],
  task: Task,
): Omit<ScoreFailure, 'error'> {
  const exact = exactName(media);
  return {
    schema_version: SCHEMA_VERSION,
    input,
    ...(exact === undefined ? {} : { input_base64: exact }),
    task,
    ...(identity === undefined ? {} : { file_size: identity.bytes }),
    ...(identity?.modified === undefined ? {} : { modified: identity.modified }),
    ...(identity?.sha256 === undefined ? {} : { sha256: identity.sha256 }),
  };
}

/** @throws QalignError MEDIA_DOUBTFUL if there are warnings */
function refuseDoubtful(warnings: readonly string[]): void {
  if (warnings.length > 0)
    throw new QalignError(
      'MEDIA_DOUBTFUL',
      `The input has warnings, and strict mode refuses it: ${warnings.join('; ')}.`,
    );
}

async function unsupported(choice: ModelChoice, prompt: PromptTemplate, task: Task, kind: Kind): Promise<QalignError> {
  const what = `${task} of ${kind === 'image' ? 'an image' : 'a video'}`;
  return new QalignError(
    'TASK_UNSUPPORTED',
    supports(choice, task, kind)
      ? `The prompt ${prompt.name} does not support ${what}; choose another with --prompt.`
      : `${choice.id} does not rate ${what}. ${await modelsThatDo(task, kind)}`,
  );
}

import type { Preprocessing } from '../../api/result.js';
import type { WarmUp } from '../../../bridge/protocol/models.js';
import { QalignError } from '../../base/errors.js';
import { chooseModel, requirePrompt, supports, type ModelChoice } from '../../config/models.js';
import { loadPrompt } from '../../config/prompts.js';
import type { EngineStats } from '../../engine/index.js';
import type { PrepareLoad } from '../../media/prepare-pool.js';
import { describePreprocessing, MOST_CHAT_FRAMES } from '../../media/preprocessing.js';
import { allows, renderPrompt, type PromptTemplate } from '../../prompts/render.js';
import { TASKS } from '../../prompts/subject.js';
import { LEVELS, type Scale } from '../../scoring/levels.js';
import { gateClips } from './gate/clip-gate.js';
import { createInFlight, type InFlight } from './gate/in-flight.js';
import { scoreVersion } from './score-version.js';
import type {
  ScorerOptions,
  ScorerParts,
  ScoreSource,
  ScoringEngine,
  ScoringModel,
  ScoringPreparer,
} from './scorer.js';

/** A loaded model and the state that scoring with it needs. */
export interface ScoringSession {
  readonly choice: ModelChoice;
  readonly engine: ScoringEngine;
  readonly preparer: ScoringPreparer;
  readonly inFlight: InFlight;
  /** The model as the engine loaded it; `id` is the name by which it was chosen. */
  readonly model: ScoringModel;
  readonly preprocessing: Preprocessing;
  readonly prompt: PromptTemplate;
  readonly scale: Scale;
  /** Cache of the prompts that calls have named. */
  readonly prompts: Map<string, PromptTemplate>;
  /** Aborts every call. */
  readonly signal: AbortSignal | undefined;
  readonly toSource: (input: string | Uint8Array) => Promise<ScoreSource>;
  closed: boolean;
}

/** Loads the model and starts its engine and its preparer. */
export async function openSession(parts: ScorerParts, options: ScorerOptions): Promise<ScoringSession> {
  const choice = await chooseModel(options);
  const prompt = await loadPrompt(options.prompt ?? choice.prompt);
  requirePrompt(choice, prompt);
  if (choice.backend === 'transformers') requireFewFrames(choice, options);
  const plain = parts.createPreparer(options); // its thread starts while the model loads
  const engine = await parts.createEngine(choice, options, warmUpOf(choice, prompt)).catch(async (error) => {
    await plain.close();
    throw error;
  });
  const stats = (): EngineStats | undefined => engine.stats?.();
  const preparer = gateClips(plain, stats);
  const { id: _id, ...loaded } = engine.model;
  return {
    choice,
    engine,
    preparer,
    inFlight: createInFlight(stats, mostPictures(loaded.preparation)),
    model: { ...loaded, id: choice.id },
    preprocessing: describePreprocessing(loaded.image_size, {
      ...options,
      views: loaded.views,
      preparation: loaded.preparation,
      clipSide: choice.clipSide,
    }),
    prompt,
    scale: options.scale ?? 'mos5',
    prompts: new Map([[prompt.name, prompt]]),
    signal: options.signal,
    toSource: (input) => parts.toSource(input, options),
    closed: false,
  };
}

/** @throws QalignError USAGE for more frames of a clip than a chat model gets */
function requireFewFrames({ id }: ModelChoice, { maxFrames }: ScorerOptions): void {
  if (maxFrames === undefined || maxFrames <= MOST_CHAT_FRAMES) return;
  throw new QalignError('USAGE', `${id} takes at most ${MOST_CHAT_FRAMES} frames of a clip; ask for fewer.`);
}

/** Memory of the prepared pictures that wait for a chat model, and the size of a picture without a known bound. */
const CHAT_BYTES = 2 ** 30;
const NATIVE_PIXELS = 12e6;
const FEWEST_PICTURES = 8;

/** Number of pictures in flight that bounds the memory of large ones; undefined for squares, which are small. */
function mostPictures(preparation: ScoringModel['preparation']): number | undefined {
  if (preparation === undefined) return undefined;
  const pixels = preparation.kind === 'smart' ? preparation.max_pixels : NATIVE_PIXELS;
  return Math.max(FEWEST_PICTURES, Math.floor(CHAT_BYTES / (3 * pixels)));
}

/** Models of transformers are not prepared for requests. */
const warmUpOf = (choice: ModelChoice, prompt: PromptTemplate): WarmUp | undefined =>
  choice.backend === 'transformers' ? undefined : expectedRequests(choice, prompt);

/** One picture with each task that the model rates, and with all of them. */
export function expectedRequests(choice: ModelChoice, prompt: PromptTemplate): WarmUp {
  const texts = TASKS.filter((task) => supports(choice, task, 'image') && allows(prompt, task, 'image')).map((task) =>
    renderPrompt(prompt, task, 'image'),
  );
  return { prompts: [...texts.map((text) => [text]), ...(texts.length > 1 ? [texts] : [])], levels: [...LEVELS] };
}

/** score_version of the scores of a session for a prompt and a scale. */
export function versionOf(
  { choice, model, preprocessing }: ScoringSession,
  prompt: PromptTemplate,
  scale: Scale,
): string {
  const { processing_sha256 } = model;
  const { chat: settings } = choice;
  return scoreVersion({
    ...(choice.backend === 'transformers'
      ? { chat: { processing_sha256, stem: prompt.stem, texts: prompt.texts, settings } }
      : {}),
    weightsSha256: model.weights_sha256,
    precision: model.precision,
    promptText: prompt.text,
    scale,
    preprocessing,
  });
}

/** Load of the preparer, including the pictures that wait to be decoded. */
export function preparingLoad({ preparer, inFlight }: ScoringSession): PrepareLoad | undefined {
  const load = preparer.load?.();
  return (
    load && {
      ...load,
      waiting: {
        interactive: load.waiting.interactive + inFlight.waiting('interactive'),
        bulk: load.waiting.bulk + inFlight.waiting('bulk'),
      },
    }
  );
}

export async function closeSession(session: ScoringSession): Promise<void> {
  session.closed = true;
  await Promise.allSettled([session.preparer.close()]);
  await session.engine.close();
}

import { firstSignal } from '../../base/first-signal.js';
import { QalignError } from '../../base/errors.js';
import { requirePrompt, requireTasks, type ModelChoice } from '../../config/models.js';
import { loadPrompt } from '../../config/prompts.js';
import type { Task } from '../../prompts/subject.js';
import type { PromptTemplate } from '../../prompts/render.js';
import type { Scale } from '../../scoring/levels.js';
import type { MapOptions } from '../../scoring/quality-map.js';
import type { ScoreOptions } from './scorer.js';
import { requireCurve } from './curve/frame-curve.js';
import { versionOf, type ScoringSession } from './session.js';
import { scorerClosed } from './stop-errors.js';

/** Options of one call, completed with the defaults of the session. */
export interface CallOptions extends Omit<ScoreOptions, 'prompt' | 'map'> {
  readonly tasks: readonly Task[];
  readonly scale: Scale;
  readonly prompt: PromptTemplate;
  /** Undefined without a map. */
  readonly map: MapOptions | undefined;
  /** `score_version` of its results. */
  readonly version: string;
  /** Removes the listener on the session's signal. Call it at the end of the call. */
  readonly release: () => void;
}

/** @throws QalignError TASK_UNSUPPORTED, CONFIG_NOT_FOUND, CONFIG_INVALID, BRIDGE_CLOSED after the scorer's end */
export async function resolveCallOptions(session: ScoringSession, own: ScoreOptions): Promise<CallOptions> {
  if (session.closed) throw scorerClosed();
  const prompt = own.prompt === undefined ? session.prompt : await promptNamed(session, own.prompt);
  const tasks = own.tasks ?? defaultTasks(session);
  requirePrompt(session.choice, prompt);
  await requireTasks(session.choice, tasks);
  requireWholeInputs(session.choice, own);
  requireCurve(session.choice, prompt, tasks, own);
  const scale = own.scale ?? session.scale;
  return {
    ...own,
    tasks,
    ...firstSignal(own.signal, session.signal),
    prompt,
    scale,
    map: own.map === true ? {} : own.map === false ? undefined : own.map,
    version: versionOf(session, prompt, scale),
  };
}

/** @throws QalignError TASK_UNSUPPORTED for maps and curves of a chat model, which rates only whole inputs */
export function requireWholeInputs(
  choice: ModelChoice,
  { map, perFrame, perFrameWindow }: Pick<ScoreOptions, 'map' | 'perFrame' | 'perFrameWindow'>,
): void {
  if (choice.backend !== 'transformers') return;
  const asksMap = map !== undefined && map !== false;
  if (!asksMap && perFrame !== true && perFrameWindow === undefined) return;
  throw new QalignError(
    'TASK_UNSUPPORTED',
    asksMap
      ? `${choice.id} has no quality maps, because it takes pictures of any size; leave out --map, or choose another model.`
      : `${choice.id} has no frame curves, because its clips are sent whole; leave out --per-frame, score extracted frames as pictures, or choose another model.`,
  );
}

/** The tasks that are scored if the caller names none. */
export function defaultTasks({ choice }: Pick<ScoringSession, 'choice'>): readonly Task[] {
  return [choice.tasks === undefined || choice.tasks.quality !== undefined ? 'quality' : 'aesthetics'];
}

async function promptNamed({ prompts }: ScoringSession, name: string): Promise<PromptTemplate> {
  const prompt = prompts.get(name) ?? (await loadPrompt(name));
  prompts.set(name, prompt);
  return prompt;
}

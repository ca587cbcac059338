import { chooseModel, modelsThatDo, requireTasks, supports } from '../../config/models.js';
import { hint } from '../../base/suggest.js';
import { loadPrompt } from '../../config/prompts.js';
import { QalignError } from '../../base/errors.js';
import type { Kind, Task } from '../../prompts/conversation.js';
import { allows, renderPrompt, type PromptTemplate } from '../../prompts/render.js';
import { byLevel, type Scale } from '../../scoring/levels.js';
import { scoreLogits } from '../../scoring/score.js';
import { firstSignal } from '../../base/first-signal.js';
import type { Lane } from '../../base/lane.js';
import { createPriorityGate, type PriorityGate } from '../../base/priority-gate.js';
import { orderedMap } from '../../base/ordered-map.js';
import type { Preprocessing, ScoreFailure, ScoreOutcome } from '../../api/result.js';
import type {
  PrepareLoad,
  ScoreOptions,
  Scorer,
  ScorerOptions,
  ScorerParts,
  ScoreInput,
  ScoreSource,
  Visual,
} from './scorer.js';
import { scoreVersion } from './score-version.js';

export type * from './scorer.js';

/** Every key of ScorerOptions: a misspelt one would be passed over in silence by whoever writes JavaScript. */
const OPTION_KEYS: Readonly<Record<keyof ScorerOptions, true>> = {
  model: true,
  base: true,
  revision: true,
  device: true,
  devices: true,
  listen: true,
  bridgeKeys: true,
  precision: true,
  prompt: true,
  scale: true,
  autoOrient: true,
  fps: true,
  maxFrames: true,
  maxBatchFrames: true,
  offline: true,
  allowUrls: true,
  log: true,
  revive: true,
  onBatch: true,
  onProgress: true,
  signal: true,
};

function requireKnown(options: ScorerOptions): void {
  const names = Object.keys(OPTION_KEYS);
  const unknown = Object.keys(options).find((key) => !Object.hasOwn(OPTION_KEYS, key));
  if (unknown !== undefined)
    throw new QalignError(
      'USAGE',
      `createScorer has no option "${unknown}"${hint(unknown, names)}; it has ${names.join(', ')}.`,
    );
  if (options.device !== undefined && options.devices !== undefined)
    throw new QalignError('USAGE', 'createScorer takes device or devices, not both.');
}

/** Clips hold many frames each: only so many are decoded or waiting at a time. */
const CLIPS_IN_FLIGHT = 2;
/** One batch runs, one waits at the worker, one is gathered. */
const BATCHES_IN_FLIGHT = 3;
const LEAST_IN_FLIGHT = 128;
/** After these no later input can succeed either. */
const FATAL: readonly string[] = [
  'BRIDGE_CLOSED',
  'WORKER_START_FAILED',
  'PROTOCOL_MISMATCH',
  'PYTHON_NOT_FOUND',
  'PYTHON_SETUP_FAILED',
];

/**
 * Loads a model and makes a scorer of it. What is wrong with one input becomes its outcome; only what stops all of them
 * is thrown.
 */
export async function createScorerFrom(parts: ScorerParts, options: ScorerOptions = {}): Promise<Scorer> {
  requireKnown(options);
  return make(parts, options).catch((error: unknown) => {
    throw options.signal?.aborted === true ? cancelled(error) : error;
  });
}

async function make(parts: ScorerParts, options: ScorerOptions): Promise<Scorer> {
  const scale = options.scale ?? 'mos5';
  const choice = await chooseModel(options);
  const prompt = await loadPrompt(options.prompt ?? choice.prompt);
  const prompts = new Map([[prompt.name, prompt]]);
  const engine = await parts.createEngine(choice, options);
  const preparer = parts.createPreparer();
  const width = (): number => {
    const { maxBatchFrames, workers } = engine.stats?.() ?? { maxBatchFrames: 0, workers: [] };
    return Math.max(LEAST_IN_FLIGHT, BATCHES_IN_FLIGHT * maxBatchFrames * workers.length);
  };
  // what waits beyond them is not decoded yet; bulk never takes the places of interactive ones
  const pictures = { interactive: createPriorityGate(width), bulk: createPriorityGate(width) };
  const clips = createPriorityGate(CLIPS_IN_FLIGHT);
  const { id: _id, ...loaded } = engine.model;
  const model = { ...loaded, id: choice.id };
  const preprocessing: Preprocessing = {
    size: model.image_size,
    pad: [122, 116, 104],
    resize: 'pillow-bicubic',
    auto_orient: options.autoOrient ?? false,
    fps: options.fps ?? null,
    max_frames: options.maxFrames ?? null,
  };
  const versionOf = (template: PromptTemplate, on: Scale): string =>
    scoreVersion({
      weightsSha256: model.weights_sha256,
      precision: model.precision,
      promptText: template.text,
      scale: on,
      preprocessing,
    });
  const version = versionOf(prompt, scale);
  const prepareOptions = {
    size: model.image_size,
    autoOrient: preprocessing.auto_orient,
    fps: options.fps,
    maxFrames: options.maxFrames,
  };

  let closed = false;

  /** What this call asks for, over what the scorer was made with. */
  async function settle(own: ScoreOptions): Promise<Asked> {
    if (closed) throw isClosed();
    const template = own.prompt === undefined ? prompt : (prompts.get(own.prompt) ?? (await loadPrompt(own.prompt)));
    if (own.prompt !== undefined) prompts.set(own.prompt, template);
    const tasks = own.tasks ?? defaultTasks;
    await requireTasks(choice, tasks);
    return {
      ...own,
      tasks,
      ...firstSignal(own.signal, options.signal),
      prompt: template,
      scale: own.scale ?? scale,
      version: versionOf(template, own.scale ?? scale),
    };
  }

  async function scoreSource(source: ScoreSource, tasks: readonly Task[], asked: Asked): Promise<ScoreOutcome[]> {
    const { prompt, scale, version } = asked;
    const able = tasks.filter(
      (task) =>
        source.error !== undefined || (supports(choice, task, source.kind) && allows(prompt, task, source.kind)),
    );
    const texts = able.map((task) => renderPrompt(prompt, task, source.kind));
    const scored = able.length === 0 ? undefined : await attempt(source, texts, asked);
    return Promise.all(
      tasks.map(async (task): Promise<ScoreOutcome> => {
        const at = able.indexOf(task);
        if (at < 0) return failure(source.input, task, await unsupported(task, source.kind, prompt));
        if (scored instanceof QalignError || scored === undefined)
          return failure(source.input, task, scored as QalignError);
        const { logits, logSumExp } = scored.answers[at] as { logits: number[]; logSumExp: number };
        const { score, level, ...rest } = scoreLogits(logits, logSumExp, scale);
        const { warnings, frames } = scored.visual;
        return {
          input: source.input,
          kind: source.kind,
          task,
          score,
          scale,
          level,
          level_probs: rest.level_probs,
          logits: byLevel(logits),
          level_mass: rest.level_mass,
          entropy: rest.entropy,
          std: rest.std,
          ...(source.kind === 'video' ? { frames } : {}),
          model: {
            id: model.id,
            revision: model.revision,
            weights_sha256: model.weights_sha256,
            precision: model.precision,
            device: model.device,
          },
          prompt: { name: prompt.name, text: texts[at] as string },
          preprocessing: warnings.length === 0 ? preprocessing : { ...preprocessing, warnings: [...warnings] },
          score_version: version,
        };
      }),
    );
  }

  async function attempt(
    source: ScoreSource,
    texts: string[],
    asked: Asked,
  ): Promise<{ visual: Visual; answers: { logits: number[]; logSumExp: number }[] } | QalignError> {
    if (source.error !== undefined) return source.error;
    const { signal, lane = 'bulk', ticket, traceparent } = asked;
    const run = async (): Promise<{ visual: Visual; answers: { logits: number[]; logSumExp: number }[] }> => {
      const visual = await preparer.prepare(source, { ...prepareOptions, limits: asked.limits, lane, signal });
      const answers = await engine.score(
        { visuals: [{ frames: visual.frames, data: visual.data }], prompts: texts },
        {
          lane,
          ...(ticket === undefined ? {} : { ticket }),
          ...(traceparent === undefined ? {} : { traceparent }),
          ...(signal === undefined ? {} : { signal }),
        },
      );
      return { visual: { ...visual, data: EMPTY }, answers };
    };
    try {
      return await (source.kind === 'video' ? clips : pictures[lane]).pass(lane, run, signal);
    } catch (error) {
      if (signal?.aborted === true) throw cancelled(error);
      if (closed) throw isClosed(error); // not one failure for each of the inputs still to come
      if (error instanceof QalignError && !FATAL.includes(error.code)) return error;
      throw error;
    }
  }

  async function unsupported(task: Task, kind: Kind, prompt: PromptTemplate): Promise<QalignError> {
    if (supports(choice, task, kind))
      return new QalignError(
        'TASK_UNSUPPORTED',
        `The prompt ${prompt.name} is not meant for ${task} of ${kind === 'image' ? 'an image' : 'a video'}; choose another with --prompt.`,
      );
    return new QalignError(
      'TASK_UNSUPPORTED',
      `${choice.id} does not rate ${task} of ${kind === 'image' ? 'an image' : 'a video'}; models that do: ${await modelsThatDo(task, kind)}.`,
    );
  }

  const defaultTasks: readonly Task[] = [
    choice.tasks === undefined || choice.tasks.quality !== undefined ? 'quality' : 'aesthetics',
  ];
  const asSource = async (input: ScoreInput): Promise<ScoreSource> =>
    typeof input === 'string' || input instanceof Uint8Array ? parts.toSource(input, options) : input;
  const close = async (): Promise<void> => {
    closed = true;
    await Promise.allSettled([preparer.close()]);
    await engine.close();
  };
  return {
    model,
    choice,
    prompt,
    scoreVersion: version,
    defaultTasks,
    ticket: () => engine.ticket?.() ?? 0,
    width,
    load: () => ({ engine: engine.stats?.(), preparing: withWaiting(preparer.load?.(), pictures) }),
    workersRss: () => engine.stats?.().workers.map(({ rss_bytes }) => rss_bytes) ?? [],
    check: async (own) => (await settle(own)).release(),
    async score(input, own = {}) {
      const asked = await settle(own);
      try {
        return await scoreSource(await asSource(input), asked.tasks, asked);
      } catch (error) {
        throw asked.signal?.aborted === true ? cancelled(error) : error;
      } finally {
        asked.release();
      }
    },
    async *scoreMany(inputs, own = {}) {
      const asked = await settle(own);
      const { tasks, signal, release } = asked;
      try {
        yield* orderedMap(
          inputs,
          own.inFlight ?? width(),
          async (input) => {
            const source = await asSource(input);
            const wanted = own.tasksOf?.(source) ?? tasks;
            return wanted.length === 0 ? [] : scoreSource(source, wanted, asked);
          },
          signal,
        );
      } catch (error) {
        throw signal?.aborted === true ? cancelled(error) : error;
      } finally {
        release();
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Asked extends Omit<ScoreOptions, 'prompt'> {
  readonly release: () => void;
  readonly tasks: readonly Task[];
  readonly scale: Scale;
  readonly prompt: PromptTemplate;
  readonly version: string;
}

function withWaiting(
  load: PrepareLoad | undefined,
  { interactive, bulk }: Readonly<Record<Lane, PriorityGate>>,
): PrepareLoad | undefined {
  return (
    load && {
      ...load,
      waiting: {
        interactive: load.waiting.interactive + interactive.waiting('interactive'),
        bulk: load.waiting.bulk + bulk.waiting('bulk'),
      },
    }
  );
}

const EMPTY = new Uint8Array(0);

function failure(input: string, task: Task, error: QalignError): ScoreFailure {
  return { input, task, error: { code: error.code, message: error.message } };
}

const isClosed = (cause?: unknown): QalignError =>
  new QalignError('BRIDGE_CLOSED', 'The scorer is closed; make another.', { cause });

function cancelled(cause: unknown): QalignError {
  return cause instanceof QalignError && cause.code === 'CANCELLED'
    ? cause
    : new QalignError('CANCELLED', 'Scoring was cancelled.', { cause });
}

import type { ServeConfig } from '../../config/serve.js';
import { describeModels } from '../../config/models.js';
import type { BatchReport } from '../../engine/index.js';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import type { DecodeBudget } from '../../media/budget/decode-budget.js';
import type { Scorer, ScorerOptions } from '../../recipes/score/scorer.js';
import { EXAMPLE_PICTURE } from '../../media/probe-picture.js';
import type { ModelRow } from '../../api/models.js';

export interface ModelPool {
  /**
   * Returns a loaded model, by default the first of the configuration. @throws QalignError MODEL_NOT_LOADED, NO_WORKER
   * while it is loading
   */
  get(name?: string): Scorer;
  readonly loaded: ReadonlyMap<string, Scorer>;
  rows(): Promise<ModelRow[]>;
  /**
   * Loads a model and waits for it; calls for the same model share the load. @throws QalignError CONFIG_NOT_FOUND,
   * MODEL_*, OVERLOADED when too many models are loaded
   */
  load(name: string): Promise<Scorer>;
  /** Unloads a model after its running requests. */
  unload(name: string): Promise<void>;
  close(): Promise<void>;
}

export interface ModelPoolParts {
  readonly config: ServeConfig;
  readonly log: Logger;
  readonly createScorer: (options: ScorerOptions) => Promise<Scorer>;
  /** Shared by all models. */
  readonly decodeBudget: DecodeBudget;
  readonly onBatch: (model: string, batch: BatchReport) => void;
  readonly signal: AbortSignal;
}

/** Each model scores this picture before it counts as loaded, which also gives the first latencies. */
const PROBE = Buffer.from(EXAMPLE_PICTURE, 'base64');

export function createModelPool(parts: ModelPoolParts): ModelPool {
  const { config, log } = parts;
  const loaded = new Map<string, Scorer>();
  const loading = new Map<string, Promise<Scorer>>();

  const start = async (name: string): Promise<Scorer> => {
    if (loaded.size + loading.size >= config.most_models)
      throw new QalignError(
        'OVERLOADED',
        `${config.most_models} models are loaded already (${[...loaded.keys()].join(', ')}); unload one first.`,
        { details: { retry_after_s: 60, reason: 'models' } },
      );
    log.info('loading', { model: name });
    const scorer = await createProbedScorer(name, parts);
    loaded.set(name, scorer);
    log.info('loaded', {
      model: name,
      weights_sha256: scorer.model.weights_sha256,
      untrained: scorer.choice.untrained,
    });
    return scorer;
  };

  return {
    loaded,
    get(asked) {
      const name = asked ?? config.models[0] ?? '';
      const scorer = loaded.get(name);
      if (scorer === undefined) throw unavailable(name, loaded, loading);
      return scorer;
    },
    async rows() {
      const described = await describeModels();
      const names = new Set([...described.map(({ name }) => name), ...loaded.keys(), ...loading.keys()]);
      return [...names].map((id) => {
        const scorer = loaded.get(id);
        const state = scorer !== undefined ? 'loaded' : loading.has(id) ? 'loading' : 'available';
        return toRow({ id, state, isDefault: id === config.models[0], scorer }, described);
      });
    },
    async load(name) {
      const there = loaded.get(name) ?? loading.get(name);
      if (there !== undefined) return there;
      const started = start(name).finally(() => loading.delete(name));
      loading.set(name, started);
      return started;
    },
    async unload(name) {
      const scorer = loaded.get(name);
      if (scorer === undefined)
        throw new QalignError('MODEL_NOT_LOADED', `The model "${name.slice(0, 100)}" is not loaded.`);
      loaded.delete(name);
      await drained(scorer);
      await scorer.close();
      log.info('unloaded', { model: name });
    },
    async close() {
      await Promise.allSettled(loading.values());
      const all = [...loaded.values()];
      loaded.clear();
      await Promise.allSettled(all.map((scorer) => scorer.close()));
    },
  };
}

/** Returns a scorer that has scored the probe picture: it works and its latencies are known. */
async function createProbedScorer(
  name: string,
  { config, log, createScorer, decodeBudget, onBatch, signal }: ModelPoolParts,
): Promise<Scorer> {
  const scorer = await createScorer({
    model: name,
    device: config.device,
    precision: config.precision,
    offline: config.offline,
    maxBatchFrames: config.max_batch_frames ?? undefined,
    deterministic: config.deterministic,
    stepMs: config.step_ms ?? 2 * config.request_ms,
    decodeBudget,
    revive: true,
    onBatch: (batch) => onBatch(name, batch),
    log,
    signal,
  });
  try {
    for (let i = 0; i < 3; i++) await scorer.score({ input: 'probe', kind: 'image', media: PROBE });
  } catch (error) {
    await scorer.close();
    throw error;
  }
  return scorer;
}

/** Explains why there is no scorer of this name. */
function unavailable(
  name: string,
  loaded: ReadonlyMap<string, Scorer>,
  loading: ReadonlyMap<string, unknown>,
): QalignError {
  if (loading.has(name))
    return new QalignError('NO_WORKER', `The model "${name}" is being loaded.`, {
      details: { retry_after_s: 5, reason: 'loading' },
    });
  return new QalignError(
    'MODEL_NOT_LOADED',
    `The model "${name.slice(0, 100)}" is not loaded; loaded ${loaded.size === 1 ? 'is' : 'are'} ${[...loaded.keys()].join(', ') || 'none'}.`,
  );
}

type Description = Awaited<ReturnType<typeof describeModels>>[number];

/** A model without a description has only its name. */
function toRow(
  { id, state, isDefault, scorer }: Pick<ModelRow, 'id' | 'state'> & { isDefault: boolean; scorer: Scorer | undefined },
  described: readonly Description[],
): ModelRow {
  const description = described.find(({ name }) => name === id);
  const workers = scorer?.load().engine?.workers ?? [];
  const memory = workers.flatMap(({ device, device_memory }) => (device_memory ? [[device, device_memory]] : []));
  return {
    id,
    title: description?.title ?? id,
    state,
    default: isDefault,
    untrained: description?.untrained ?? false,
    tasks: structuredClone(description?.tasks ?? {}) as ModelRow['tasks'],
    licence: description?.licence ?? '',
    ...(scorer === undefined
      ? {}
      : {
          weights_sha256: scorer.model.weights_sha256,
          precision: scorer.model.precision,
          workers_ready: workers.filter(({ ready }) => ready).length,
          ...(memory.length === 0
            ? {}
            : { device_memory: Object.fromEntries(memory) as NonNullable<ModelRow['device_memory']> }),
        }),
  };
}

/** Waits up to ten seconds until the scorer has no waiting or running items. */
async function drained(scorer: Scorer): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const { engine, preparing } = scorer.load();
    if ((engine?.queued ?? 0) + (engine?.running ?? 0) + (preparing?.running ?? 0) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

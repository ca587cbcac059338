import type { WorkerLink } from '../../bridge/client.js';
import { QalignError, type ErrorCode } from '../base/errors.js';
import { createPercentGate } from '../base/percent-gate.js';
import { chooseModel, describeModels, type ModelChoice, type ModelDescription } from '../config/models.js';
import { ensurePython } from '../engine/python/environment.js';
import { countParameters, PUBLISHED_SHAPE } from './train/memory-estimate.js';
import { withWorker } from '../engine/with-worker.js';
import type { Logger } from '../base/logger.js';

export interface ModelJobOptions {
  readonly model: string;
  readonly revision?: string | undefined;
  readonly offline?: boolean | undefined;
  readonly log?: Logger | undefined;
  readonly onProgress?: ((message: string, done?: number, total?: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ModelReport {
  readonly id: string;
  readonly title: string | undefined;
  readonly tasks: ModelChoice['tasks'];
  readonly licence: string | undefined;
  readonly citation: string | undefined;
  readonly untrained: boolean;
  /** The model was not taught to rate; absent: it was. */
  readonly taught?: false | undefined;
  /**
   * Data from the headers of the checkpoint: files, parameters, memory_bytes by precision, image_size and others. If a
   * model of configs/models cannot be read, the data of its description.
   */
  readonly inspection: Readonly<Record<string, unknown>>;
  /** The error that prevented reading the files; absent if they were read. */
  readonly unread?: QalignError;
  /** The same data for the base model of a LoRA adapter. */
  readonly base?: Readonly<Record<string, unknown>>;
}

/**
 * Downloads the missing files of a model and reads their headers, without loading the weights. Interrupted downloads
 * are continued. The base model of a LoRA adapter is included.
 */
export async function inspectModel(options: ModelJobOptions): Promise<ModelReport> {
  const choice = await chooseModel(options);
  const description = (await describeModels()).find(({ name, model }) => name === choice.id || model === choice.id);
  const { log, onProgress, signal } = options;
  const read = async (): Promise<Pick<ModelReport, 'inspection' | 'base'>> => {
    const python = await ensurePython({
      ...(log === undefined ? {} : { log }),
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(signal === undefined ? {} : { signal }),
    });
    return withWorker({ python, device: 'cpu', signal }, async (worker) => ({
      inspection: await inspectFiles(worker, choice.model, choice.revision, { ...options, backend: choice.backend }),
      ...(choice.base === undefined
        ? {}
        : { base: await inspectFiles(worker, choice.base, choice.baseRevision, options) }),
    }));
  };
  const found = await read().catch((error: unknown) => {
    if (description === undefined || !(error instanceof QalignError) || !ABSENT.includes(error.code)) throw error;
    return { inspection: describedFiles(description), unread: error };
  });
  return {
    id: choice.id,
    tasks: choice.tasks,
    untrained: choice.untrained,
    ...(choice.taught === undefined ? {} : { taught: choice.taught }),
    title: description?.title,
    licence: description?.licence,
    citation: description?.citation,
    ...found,
  };
}

/** The files are missing and cannot be downloaded, or there is no Python to read them. */
const ABSENT: readonly ErrorCode[] = [
  'MODEL_DOWNLOAD_FAILED',
  'MODEL_NOT_FOUND',
  'PYTHON_NOT_FOUND',
  'PYTHON_SETUP_FAILED',
];

function describedFiles({ model, revision, architecture }: ModelDescription): Record<string, unknown> {
  const from = { from: revision === undefined ? model : `${model} at ${revision}` };
  if (architecture === undefined) return from;
  const { vision, abstractor, language } = countParameters(PUBLISHED_SHAPE);
  const parameters = vision + abstractor + language;
  return {
    ...from,
    parameters,
    memory_bytes: { fp32: 4 * parameters, bf16: 2 * parameters },
    image_size: PUBLISHED_SHAPE.visual_config.visual_model.image_size,
  };
}

/**
 * Downloads the missing files of one model on a worker and reads their headers. The result includes the `path` of the
 * model. With `chat`, it also has the `preparation` of the model.
 */
export async function inspectFiles(
  worker: Pick<WorkerLink, 'request'>,
  model: string,
  revision: string | undefined,
  {
    offline,
    backend,
    chat,
    onProgress,
    signal,
  }: Pick<ModelJobOptions, 'offline' | 'onProgress' | 'signal'> & Pick<ModelChoice, 'backend' | 'chat'>,
): Promise<Readonly<Record<string, unknown>>> {
  const heard = createPercentGate();
  const { inspection } = await worker.request(
    'inspect_model',
    {
      model,
      offline: offline ?? false,
      ...(revision === undefined ? {} : { revision }),
      ...(backend === undefined ? {} : { backend }),
      ...(chat === undefined ? {} : { chat }),
    },
    {
      abandon: true,
      ...(signal === undefined ? {} : { signal }),
      onProgress: ({ stage, done, total }) => {
        if (heard(String(stage), Number(done), Number(total)))
          onProgress?.(`${model}: ${String(stage)}`, Number(done), Number(total));
      },
    },
  );
  return inspection as Record<string, unknown>;
}

import { openBridge } from '../../bridge/client.js';
import { chooseModel, describeModels, type ModelChoice } from '../config/models.js';
import { ensurePython } from '../engine/python/environment.js';
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
  /** From the headers of the checkpoint: files, parameters, memory_bytes by precision, image_size … */
  readonly inspection: Readonly<Record<string, unknown>>;
  /** The same of what a LoRA lies over. */
  readonly base?: Readonly<Record<string, unknown>>;
}

/**
 * Fetches what is missing of a model (a broken download is continued) and reads the headers of its files; the weights
 * are not loaded. A LoRA's base is fetched and read too.
 */
export async function inspectModel(options: ModelJobOptions): Promise<ModelReport> {
  const choice = await chooseModel(options);
  const python = await ensurePython({
    ...(options.log === undefined ? {} : { log: options.log }),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const bridge = await openBridge();
  try {
    const worker = await bridge.startWorker({
      python,
      device: 'cpu',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const inspect = async (model: string, revision: string | undefined): Promise<Record<string, unknown>> => {
      const { inspection } = await worker.request(
        'inspect_model',
        { model, offline: options.offline ?? false, ...(revision === undefined ? {} : { revision }) },
        {
          abandon: true,
          ...(options.signal === undefined ? {} : { signal: options.signal }),
          onProgress: ({ stage, done, total }) =>
            options.onProgress?.(`${model}: ${String(stage)}`, Number(done), Number(total)),
        },
      );
      return inspection as Record<string, unknown>;
    };
    const inspection = await inspect(choice.model, choice.revision);
    const base = choice.base === undefined ? undefined : await inspect(choice.base, choice.baseRevision);
    const description = (await describeModels()).find(({ name, model }) => name === choice.id || model === choice.id);
    return {
      id: choice.id,
      tasks: choice.tasks,
      untrained: choice.untrained,
      title: description?.title,
      licence: description?.licence,
      citation: description?.citation,
      inspection,
      ...(base === undefined ? {} : { base }),
    };
  } finally {
    await bridge.close();
  }
}

import type { Precision } from '../../../bridge/protocol/models.js';
import type { WorkerLink } from '../../../bridge/client.js';
import type { GenerateResult } from '../../../bridge/protocol/generate.js';
import { chooseModel, requireFirstBackend, type ModelChoice } from '../../config/models.js';
import { ensurePython } from '../../engine/python/environment.js';
import { loadModelParams } from '../../engine/load-model.js';
import { withWorker } from '../../engine/with-worker.js';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { createPreparer, type Preparer } from '../../media/preparer.js';
import { resolveDevices } from './devices.js';

/** Model, device and length of generated answers. */
export interface GenerateOptions {
  /**
   * A name of configs/models, a directory or a hub id.
   * @default 'nano'
   */
  readonly model?: string | undefined;
  /**
   * Base model of a LoRA adapter.
   * @default that of the model's description
   */
  readonly base?: string | undefined;
  /**
   * `auto`, `cpu` or `cuda:N`.
   * @default 'auto'
   */
  readonly device?: string | undefined;
  /**
   * `auto`: bf16 on CUDA for models of a billion parameters or more, otherwise fp32.
   * @default 'auto'
   */
  readonly precision?: Precision | undefined;
  /**
   * Do not connect to the hub.
   * @default false
   */
  readonly offline?: boolean | undefined;
  /** Maximum number of generated tokens; default 64. */
  readonly maxNewTokens?: number | undefined;
  /**
   * Takes log lines.
   * @default silentLogger
   */
  readonly log?: Logger | undefined;
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /** Pictures answered so far, and in total. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A generated answer to one picture. */
export interface GeneratedAnswer {
  /** The picture, as named by the caller. */
  readonly picture: string;
  /** The answer. */
  readonly text: string;
  /** Length of the answer in tokens. */
  readonly tokens: number;
  /** False if the answer was cut off at `maxNewTokens`. */
  readonly finished: boolean;
}

/**
 * Generates a text answer to one prompt for each picture, by greedy decoding. Use it to inspect answers, not to score.
 * @param pictures paths
 * @param prompt the question, with <|image|> exactly once
 * @throws QalignError MODEL_*, MEDIA_*, CONFIG_INVALID
 * @example
 * ```ts
 * const prompt = 'USER: <|image|>Rate the quality of the image.\nASSISTANT:';
 * const { answers } = await generateAnswers(['photo.jpg'], prompt, { maxNewTokens: 8 });
 * for (const { picture, text } of answers) console.log(picture, text);
 * ```
 */
export async function generateAnswers(
  pictures: readonly string[],
  prompt: string,
  options: GenerateOptions = {},
): Promise<{ answers: GeneratedAnswer[]; choice: ModelChoice; precision: string; device: string }> {
  const { signal, log } = options;
  const shared = { ...(signal === undefined ? {} : { signal }), ...(log === undefined ? {} : { log }) };
  const choice = await chooseModel(options);
  requireFirstBackend(choice, 'generating text');
  const python = await ensurePython(shared);
  const [device = 'cpu'] = await resolveDevices(options.device ?? 'auto', python, signal);
  const preparer = createPreparer();
  try {
    return await withWorker({ python, device, signal }, async (worker) => ({
      ...(await answersOf(worker, preparer, choice, pictures, prompt, options)),
      choice,
      device: worker.device,
    }));
  } finally {
    await preparer.close();
  }
}

/** Loads the model on a worker and sends the pictures one by one. */
export async function answersOf(
  worker: Pick<WorkerLink, 'device' | 'request'>,
  preparer: Pick<Preparer, 'prepare'>,
  choice: ModelChoice,
  pictures: readonly string[],
  prompt: string,
  { precision, offline, maxNewTokens = 64, onProgress, signal }: GenerateOptions,
): Promise<{ answers: GeneratedAnswer[]; precision: string }> {
  const cancel = signal === undefined ? {} : { signal };
  const wanted = loadModelParams({ ...choice, device: worker.device, precision, offline });
  const { model } = await worker.request('load_model', wanted, cancel);
  const { image_size: size, views } = model;
  const answers: GeneratedAnswer[] = [];
  for (const [number, picture] of pictures.entries()) {
    const { data } = await preparer.prepare({ media: picture, kind: 'image' }, { size, views, signal });
    const params = {
      items: [{ id: String(number), visuals: [{ frames: 1 }], prompts: [prompt] }],
      max_new_tokens: maxNewTokens,
      buffers: [{ dtype: 'uint8' as const, shape: [1, views.length * size, size, 3] }],
    };
    const { items } = await worker.request('generate', params, { ...cancel, buffers: [data] });
    answers.push({ picture, ...requireAnswer(items[0], picture) });
    onProgress?.(number + 1, pictures.length);
  }
  return { answers, precision: model.precision };
}

function requireAnswer(
  item: GenerateResult['items'][number] | undefined,
  picture: string,
): Omit<GeneratedAnswer, 'picture'> {
  const answer = item?.prompts?.[0];
  if (answer !== undefined) return answer;
  throw new QalignError(
    item?.error?.code ?? 'WORKER_INTERNAL',
    item?.error?.message ?? `The worker returned no answer for ${picture}.`,
  );
}

import { openBridge } from '../../../bridge/client.js';
import type { GenerateResult } from '../../../bridge/protocol/generate.js';
import { chooseModel, type ModelChoice } from '../../config/models.js';
import { ensurePython } from '../../engine/python/environment.js';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { prepareImage } from '../../media/image.js';
import { resolveDevices } from './devices.js';

export interface GenerateOptions {
  readonly model?: string | undefined;
  readonly base?: string | undefined;
  readonly device?: string | undefined;
  readonly precision?: 'auto' | 'fp32' | 'bf16' | 'fp16' | undefined;
  readonly offline?: boolean | undefined;
  /** Tokens at most; 64 by default. */
  readonly maxNewTokens?: number | undefined;
  readonly log?: Logger | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface GeneratedAnswer {
  readonly picture: string;
  readonly text: string;
  readonly tokens: number;
  /** Whether the model ended its answer by itself. */
  readonly finished: boolean;
}

/**
 * What a model says to one prompt (with its <|image|>) about each picture, greedily: for looking at answers, not for
 * scoring.
 */
export async function generateAnswers(
  pictures: readonly string[],
  prompt: string,
  options: GenerateOptions = {},
): Promise<{ answers: GeneratedAnswer[]; choice: ModelChoice; precision: string; device: string }> {
  const { signal, log } = options;
  const shared = { ...(signal === undefined ? {} : { signal }), ...(log === undefined ? {} : { log }) };
  const choice = await chooseModel(options);
  const python = await ensurePython(shared);
  const [device = 'cpu'] = await resolveDevices(options.device ?? 'auto', python, signal);
  const bridge = await openBridge();
  try {
    const worker = await bridge.startWorker({ python, device, ...(signal === undefined ? {} : { signal }) });
    const asked = {
      model: choice.model,
      device: worker.device,
      precision: options.precision ?? 'auto',
      offline: options.offline ?? false,
    };
    const { model } = await worker.request(
      'load_model',
      {
        ...asked,
        ...(choice.base === undefined ? {} : { base: choice.base }),
        ...(choice.revision === undefined ? {} : { revision: choice.revision }),
      },
      signal === undefined ? {} : { signal },
    );
    const size = model.image_size;
    const answers: GeneratedAnswer[] = [];
    for (const [number, picture] of pictures.entries()) {
      const { data } = await prepareImage(picture, { size });
      const params = {
        items: [{ id: String(number), visuals: [{ frames: 1 }], prompts: [prompt] }],
        max_new_tokens: options.maxNewTokens ?? 64,
        buffers: [{ dtype: 'uint8' as const, shape: [1, size, size, 3] }],
      };
      const { items }: GenerateResult = await worker.request('generate', params, {
        ...(signal === undefined ? {} : { signal }),
        buffers: [data],
      });
      const [item] = items;
      const said = item?.prompts?.[0];
      if (said === undefined)
        throw new QalignError(
          item?.error?.code ?? 'WORKER_INTERNAL',
          item?.error?.message ?? `The worker said nothing of ${picture}.`,
        );
      answers.push({ picture, ...said });
      options.onProgress?.(number + 1, pictures.length);
    }
    return { answers, choice, precision: model.precision, device: worker.device };
  } finally {
    await bridge.close();
  }
}

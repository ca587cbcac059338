import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { WorkerLink } from '../../../bridge/client.js';
import { packageRoot } from '../../../src/base/package-root.js';
import type { ModelChoice } from '../../../src/config/models.js';
import { prepareImage } from '../../../src/media/image.js';
import type { Preparer } from '../../../src/media/preparer.js';
import { answersOf } from '../../../src/recipes/score/generate.js';

const picture = join(packageRoot, 'test/fixtures/pictures/pristine.jpg');
const choice: ModelChoice = {
  id: 'lora',
  model: 'someone/lora',
  revision: 'r1',
  base: 'someone/base',
  baseRevision: 'b1',
  tasks: undefined,
  prompt: 'default',
  untrained: false,
};

const preparer: Pick<Preparer, 'prepare'> = {
  prepare: async ({ media }, { size }) => {
    const { data, original, warnings } = await prepareImage(media, { size });
    return { data, frames: 1, ...original, warnings };
  },
};

/** Answers `load_model` and `generate`, and records the requests. */
function recordingWorker(item: object): {
  asked: { method: string; params: object }[];
  worker: Pick<WorkerLink, 'device' | 'request'>;
} {
  const asked: { method: string; params: object }[] = [];
  const request = async (method: string, params: object): Promise<unknown> => {
    asked.push({ method, params });
    return method === 'load_model'
      ? { model: { image_size: 8, views: ['whole'], precision: 'fp32' } }
      : { items: [item] };
  };
  return { asked, worker: { device: 'cpu', request: request as WorkerLink['request'] } };
}

it('loads exactly the chosen weights, including the revision of the base model', async () => {
  const said = { text: 'good', tokens: 1, finished: true };
  const { asked, worker } = recordingWorker({ id: '0', prompts: [said] });
  const { answers } = await answersOf(worker, preparer, choice, [picture], 'USER: <|image|>', { offline: true });
  expect(answers).toEqual([{ picture, ...said }]);
  expect(asked[0]).toEqual({
    method: 'load_model',
    params: {
      model: 'someone/lora',
      revision: 'r1',
      base: 'someone/base',
      base_revision: 'b1',
      device: 'cpu',
      precision: 'auto',
      offline: true,
    },
  });
  expect(asked[1]).toMatchObject({ method: 'generate', params: { max_new_tokens: 64 } });
});

it('throws the error of a picture, also where the worker returns no answer', async () => {
  const failed = recordingWorker({ id: '0', error: { code: 'NON_FINITE', message: 'NaN.' } });
  await expect(answersOf(failed.worker, preparer, choice, [picture], '', {})).rejects.toMatchObject({
    code: 'NON_FINITE',
  });
  const silent = recordingWorker({ id: '0' });
  await expect(answersOf(silent.worker, preparer, choice, [picture], '', {})).rejects.toMatchObject({
    code: 'WORKER_INTERNAL',
    message: `The worker returned no answer for ${picture}.`,
  });
});

import { describe, expect, it } from 'vitest';
import type { WorkerLink } from '../../bridge/client.js';
import { problemWithMessage } from '../../bridge/validate.js';
import { scoreClip } from '../../src/engine/clip.js';
import { loadModelParams } from '../../src/engine/load-model.js';
import { askWorker } from '../../src/engine/messages.js';
import { Pool } from '../../src/engine/pool.js';
import { JobQueue, type Job, type PromptAnswer, type Visual } from '../../src/engine/queue.js';

const shape = { width: 96, height: 64 };
const QUESTION = { text: '<|image|>Rate it?', stem: 'It is' };

describe('messages to a chat model', () => {
  it('carry stem and shape, and the answer carries rendered text and level tokens', async () => {
    const sent: { method: string; params: Record<string, unknown> }[] = [];
    const link = {
      async request(method: string, params: Record<string, unknown>) {
        sent.push({ method, params });
        const answer = { logits: [1, 2, 3, 4, 5], log_sum_exp: 9, positions: 40 };
        const chat = { rendered: '<user>Rate it?', level_tokens: { good: [7] } };
        return { items: [{ id: '0', prompts: [{ ...answer, ...chat }] }], timings: { compute_ms: 1 } };
      },
    } as unknown as WorkerLink;
    let answers: PromptAnswer[] = [];
    const job = {
      id: '0',
      visuals: [{ frames: 2, data: new Uint8Array(2 * 3 * 96 * 64), shape }],
      prompts: [QUESTION],
      resolve: (given: PromptAnswer[]) => (answers = given),
    } as unknown as Job;
    const { deliver } = await askWorker(link, [job], 1, {});
    deliver();
    const [{ method, params } = { method: '', params: {} }] = sent;
    expect(problemWithMessage(`${method}_params`, params)).toBeUndefined();
    expect(params).toMatchObject({
      items: [{ visuals: [{ frames: 2 }], prompts: [QUESTION] }],
      buffers: [{ dtype: 'uint8', shape: [2, 64, 96, 3] }],
    });
    expect(answers).toEqual([
      { logits: [1, 2, 3, 4, 5], logSumExp: 9, positions: 40, rendered: '<user>Rate it?', levelTokens: { good: [7] } },
    ]);
  });

  it('load the model with its backend and chat, and without warm-up', () => {
    const warmUp = { prompts: [['a']], levels: ['good'] };
    const params = loadModelParams({ model: 'm', device: 'cpu', backend: 'transformers', warmUp });
    expect(problemWithMessage('load_model_params', params)).toBeUndefined();
    expect(params).toMatchObject({ backend: 'transformers', chat: { thinking: false } });
    expect('warm_up' in params).toBe(false);
    const system = { system: 'You rate pictures.', thinking: false } as const;
    expect(loadModelParams({ model: 'm', device: 'cpu', backend: 'transformers', chat: system }).chat).toEqual(system);
    expect(loadModelParams({ model: 'm', device: 'cpu', warmUp })).toMatchObject({ warm_up: warmUp });
  });

  it('send a clip as a whole even if it has more frames than a batch', async () => {
    const works: { visuals: readonly Visual[]; prompts: readonly unknown[]; step?: unknown }[] = [];
    const queue = {
      maxFrames: 4,
      ticket: () => 0,
      async submit(work: (typeof works)[number]) {
        works.push(work);
        return [];
      },
    };
    const chunks = async function* (frames: number): AsyncGenerator<Visual> {
      yield { frames, data: new Uint8Array(3), shape };
    };
    await scoreClip(queue, { frames: 8, prompts: [QUESTION], chunks, isWhole: true });
    expect(works).toEqual([{ visuals: [{ frames: 8, data: new Uint8Array(3), shape }], prompts: [QUESTION] }]);
  });

  it('fill batches by pixels: two pictures of a megapixel cost ten frames', async () => {
    const pool = new Pool(16, () => {});
    const megapixel = { frames: 1, data: new Uint8Array(0), shape: { width: 1024, height: 1024 } };
    const stopped = ['a', 'b'].map(() => pool.submit({ visuals: [megapixel], prompts: [QUESTION] }).catch(() => {}));
    expect(pool.stats().queuedFrames.bulk).toBe(10);
    await pool.close();
    await Promise.all(stopped);
    const queue = new JobQueue();
    const job = (id: string, frames: number): Job =>
      ({ id, frames, lane: 'bulk', ticket: 0, visuals: [], prompts: [], batchLimit: Infinity }) as unknown as Job;
    for (const one of [job('0', 84), job('1', 5)]) queue.push(one);
    expect(queue.take(16, true).map(({ id }) => id)).toEqual(['0']); // larger than a batch, so alone
  });
});

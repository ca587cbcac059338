import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import type { ScoreResult } from '../../../src/api/result.js';
import { CHAT_MODEL, chatScorer, TOKENS } from '../../recipes/score/fake-chat-scorer.js';
import { startService, type TestService } from '../start-service.js';

/** A service whose model is a chat model without weights: its answers are fixed. */
let service: TestService;
let picture: Buffer;
beforeAll(async () => {
  picture = await readFile(join(packageRoot, 'test/fixtures/pictures/pristine.jpg'));
  service = await startService(['models=[q-realign-mini]'], {
    createScorer: async (options) => (await chatScorer(options)).scorer,
  });
}, 120_000);
afterAll(() => service.close());

it('answers a request with what was asked and read', async () => {
  const { items } = await service.client.score([picture], { tasks: ['quality', 'aesthetics'] });
  const results = items[0]!.results as ScoreResult[];
  expect(results.map(({ task, level }) => [task, level])).toEqual([
    ['quality', 'good'],
    ['aesthetics', 'good'],
  ]);
  expect(results[0]).toMatchObject({
    model: { id: 'q-realign-mini', family: 'qwen3_5', processor: CHAT_MODEL.processor },
    prompt: { name: 'chat', stem: 'The quality of the image is', rendered: '<user>…', level_tokens: TOKENS },
    preprocessing: { form: 'smart', clip_long_side: 448 },
  });
});

it.each([
  [{ map: true }, /no quality maps/],
  [{ per_frame: true }, /no frame curves/],
])('refuses %o', async (settings, message) => {
  const asked = service.client.score([picture], settings);
  await expect(asked).rejects.toMatchObject({ code: 'TASK_UNSUPPORTED' });
  await expect(asked).rejects.toThrow(message);
});

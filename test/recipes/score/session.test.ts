import { expect, it } from 'vitest';
import { chooseModel, type ModelChoice } from '../../../src/config/models.js';
import { loadPrompt } from '../../../src/config/prompts.js';
import { renderPrompt } from '../../../src/prompts/render.js';
import { expectedRequests } from '../../../src/recipes/score/session.js';
import { LEVELS } from '../../../src/scoring/levels.js';

it('expects one picture with each task that the model rates, and with all of them', async () => {
  const choice = await chooseModel({ model: 'one-align' });
  const prompt = await loadPrompt(choice.prompt);
  const [quality, aesthetics] = (['quality', 'aesthetics'] as const).map((task) => renderPrompt(prompt, task, 'image'));
  expect(expectedRequests(choice, prompt)).toEqual({
    prompts: [[quality], [aesthetics], [quality, aesthetics]],
    levels: [...LEVELS],
  });
  const one: ModelChoice = { ...choice, tasks: { quality: ['image'], aesthetics: ['video'] } };
  expect(expectedRequests(one, prompt).prompts).toEqual([[quality]]);
  const none: ModelChoice = { ...choice, tasks: { quality: ['video'] } };
  expect(expectedRequests(none, prompt).prompts).toEqual([]);
});

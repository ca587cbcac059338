/**
 * One picture, every prompt of configs/prompts that scores: `npx tsx test/examples/prompt-sweep.ts PICTURE [MODEL]`.
 */
import { pathToFileURL } from 'node:url';
import { loadPrompt, promptNames } from '../../src/config/prompts.js';
import { createScorer, isFailure } from '../../src/index.js';

export async function main(
  picture: string,
  model?: string,
): Promise<{ prompt: string; score: number | string; mass: number }[]> {
  await using scorer = await createScorer({ model });
  const rows = [];
  for (const prompt of await promptNames()) {
    if (prompt === 'open-rating') continue; // for generated answers
    const isForChats = (await loadPrompt(prompt)).stem !== undefined;
    if (isForChats !== (scorer.prompt.stem !== undefined)) continue;
    const [outcome] = await scorer.score(picture, { prompt });
    if (outcome === undefined || isFailure(outcome))
      rows.push({ prompt, score: outcome?.error.code ?? 'nothing', mass: 0 });
    else rows.push({ prompt, score: outcome.score, mass: outcome.level_mass });
  }
  return rows;
}

const [, script, picture, model] = process.argv;
if (script !== undefined && import.meta.url === pathToFileURL(script).href) {
  if (picture === undefined) throw new Error('usage: prompt-sweep.ts PICTURE [MODEL]');
  console.table(await main(picture, model));
}

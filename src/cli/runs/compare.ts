import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { findRun, runsRoot, summarise } from '../../runs/run-directory.js';
import { defineCommand } from '../command.js';
import { asJson, runAsJson } from '../terminal/json.js';
import { tableFor } from '../terminal/table.js';
import { JSON_FLAG, runCells } from './run-line.js';

export const compare = defineCommand({
  name: 'runs compare',
  summary: 'compare the recipes and results of two or more runs',
  args: 'RUN RUN…',
  examples: ['qalign runs compare koniq koniq-2'],
  flags: JSON_FLAG,
  async run({ args, flags, terminal }) {
    if (args.length < 2)
      throw new QalignError('USAGE', 'qalign runs compare: name at least two runs; see "qalign runs list".');
    const folders = args.map((id) => findRun(runsRoot(), id));
    const recipes = await Promise.all(
      folders.map(
        async (folder) => JSON.parse(await readFile(join(folder, 'recipe.json'), 'utf8')) as Record<string, unknown>,
      ),
    );
    const keys = [...new Set(recipes.flatMap(Object.keys))].filter(
      (key) => new Set(recipes.map((recipe) => JSON.stringify(recipe[key]))).size > 1,
    );
    const summaries = await Promise.all(folders.map(summarise));
    if (flags.json) {
      const runs = summaries.map((run, index) => ({
        ...runAsJson(run),
        recipe: Object.fromEntries(keys.map((key) => [key, recipes[index]?.[key] ?? null])),
      }));
      await terminal.out(asJson({ differing: keys, runs }));
      return 0;
    }
    const different = keys.map((key) => [key, ...recipes.map((recipe) => JSON.stringify(recipe[key]) ?? '-')]);
    const head = terminal.outIsTerminal && keys.length > 0 ? [['recipe', ...summaries.map(({ id }) => id)]] : [];
    await terminal.out(`${tableFor(terminal, runCells(summaries))}\n${tableFor(terminal, [...head, ...different])}`);
    return 0;
  },
});

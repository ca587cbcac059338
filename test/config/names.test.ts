import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { listDatasetSpecs } from '../../src/config/datasets.js';
import { describeModels } from '../../src/config/models.js';
import { loadPrompt, promptNames } from '../../src/config/prompts.js';

const namesOfFiles = (folder: string): string[] =>
  readdirSync(join(packageRoot, 'configs', folder))
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();

const described = {
  datasets: listDatasetSpecs,
  models: describeModels,
  prompts: async () => Promise.all((await promptNames()).map(loadPrompt)),
};

it.each(Object.entries(described))('configs/%s: every file has the name that it describes', async (folder, list) => {
  const names = (await list()).map(({ name }) => name);
  expect(names.length).toBeGreaterThan(2);
  expect(names.sort()).toEqual(namesOfFiles(folder));
});

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../src/base/package-root.js';
import { installPacked } from './setup/packed.js';

let work: string;
let project: string;
let installed: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'qalign-packed-'));
  project = await mkdtemp(join(work, 'project-'));
  installed = await installPacked(work, project);
}, 600_000);
afterAll(() => rm(work, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly text: string;
}

function node(...words: string[]): Promise<Ran> {
  return new Promise((resolve) =>
    execFile(process.execPath, words, { cwd: project }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: `${stdout}${stderr}` }),
    ),
  );
}

/** Type-checks files as a strict user does, the package's own declarations included; file → its errors. */
async function compile(files: Readonly<Record<string, string>>): Promise<Map<string, string[]>> {
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  for (const [name, source] of Object.entries(files)) await writeFile(join(project, name), `${source}\nexport {};\n`);
  const flags = ['--noEmit', '--strict', '--module', 'NodeNext', '--target', 'ES2022', '--exactOptionalPropertyTypes'];
  const lib = ['--lib', 'ES2023,esnext.disposable', '--types', 'node'];
  const tsc = join(packageRoot, 'node_modules/typescript/bin/tsc');
  const { text } = await node(tsc, ...flags, ...lib, ...Object.keys(files));
  const errors = new Map<string, string[]>();
  for (const [line, file = ''] of text.matchAll(/^(\S+?)\(\d+,\d+\): error .*$/gm))
    errors.set(file, [...(errors.get(file) ?? []), line]);
  return errors;
}

const cli = (...words: string[]): Promise<Ran> => node(join(installed, 'dist/src/cli/main.js'), ...words);

describe('the packed package', () => {
  it('compiles every TypeScript example of README, and checks recipes at compile time', async () => {
    const readme = await readFile(join(installed, 'README.md'), 'utf8');
    const blocks = [...readme.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, code = '']) => code);
    expect(blocks.length).toBeGreaterThan(1);
    const head = "import { evaluate, planRecipe, train, trainSeries, type TrainRecipeInput } from 'qalign';";
    const good = `${head}
const r: TrainRecipeInput = { name: 'a', model: 'nano', data: { train: ['a.jsonl'] } };
await planRecipe(r);
await train({ ...r, lora: { r: 8 } });
await trainSeries([r], { seeds: [1] });
await evaluate({ name: 'a', model: 'nano', data: [{ name: 'a', records: 'a.jsonl' }] });`;
    const bad = `${head}
const data = { train: ['a.jsonl'] };
await train({ name: 'a', model: 'nano', data, epoch: 3 });
await train({ name: 'a', model: 'nano', data, schedule: 'linear' });
await evaluate({ name: 'a', model: 'nano', data: [{ name: 'a' }] });`;
    const examples = Object.fromEntries(blocks.map((block, i) => [`readme-${i}.ts`, block]));
    const errors = await compile({ ...examples, 'good.ts': good, 'bad.ts': bad });
    const ofBad = errors.get('bad.ts') ?? [];
    errors.delete('bad.ts');
    expect([...errors]).toEqual([]);
    expect(ofBad.map((line) => /\((\d+),/.exec(line)?.[1])).toEqual(['3', '4', '5']);
    expect(ofBad[0]).toMatch(/epoch/);
  }, 300_000);

  it('has its samples, schemas and recipes, and no source map without its source', async () => {
    for (const path of [
      'test/fixtures/pictures/pristine.jpg',
      'docs/schema/train-recipe.json',
      'configs/train/koniq.yaml',
    ])
      expect(existsSync(join(installed, path)), path).toBe(true);
    const files = await readdir(join(installed, 'dist'), { recursive: true });
    expect(files.filter((file) => file.endsWith('.map') || file.includes('generate-inputs'))).toEqual([]);
    const listed = await readFile(join(installed, 'dist/src/index.js'), 'utf8');
    expect(listed).not.toContain('sourceMappingURL');
  });

  it('names no model that it lacks, and finds recipes by name from another folder', async () => {
    const models = await cli('models', 'list', '--json');
    expect(models.text).toContain('one-align');
    expect(models.text).not.toContain('tiny-untrained');
    expect((await cli('evaluate', 'nano', '--plan')).text).toContain('data/biq2021/dev.jsonl');
    expect((await cli('train', '--list')).text).toContain('full tuning on KonIQ-10k');
    expect((await cli('serve', '--keys')).text).toContain('limits.items = 64');
  }, 120_000);
});

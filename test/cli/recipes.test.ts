import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseLine, type Command } from '../../src/cli/command.js';
import { REGISTRY } from '../../src/cli/registry.js';
import { EvaluateRecipe } from '../../src/config/evaluate.js';
import { listRecipes, loadRecipe, type RecipeHeader, type RecipeKind } from '../../src/config/recipes.js';
import { TrainRecipe } from '../../src/config/train.js';
import { cli } from './terminal/terminal-double.js';

let empty: string;
beforeAll(async () => void (empty = await mkdtemp(join(tmpdir(), 'qalign-recipes-'))));
afterAll(() => rm(empty, { recursive: true, force: true }));

/** The arguments of a command line, split like in a shell. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replaceAll(/["']/g, ''));

async function commandOf([verb = '', noun]: readonly string[]): Promise<{ command: Command; skip: number }> {
  const found = await REGISTRY[verb]!.load();
  if (!('commands' in found)) {
    const own = found.subcommands?.find(({ name }) => name === `${verb} ${noun}`);
    return own === undefined ? { command: found, skip: 1 } : { command: own, skip: 2 };
  }
  return { command: found.commands.find(({ name }) => name === `${verb} ${noun}`)!, skip: 2 };
}

/** The same line with files that do not exist, so that only its syntax is checked. */
const harmless = (words: readonly string[]): string[] => [
  ...words.map((word) => (/^(labels|media|data)\//.test(word) ? join(empty, word) : word)),
  ...(words[0] === 'train' || words[0] === 'evaluate' ? ['--plan'] : []),
  ...(words.includes('nano-1-late') ? ['model=nano-1'] : []), // the previous line creates its model
];

const answers = new Map<string, ReturnType<typeof cli>>();

/** Each line once: most recipes share theirs. */
function tried(words: readonly string[]): ReturnType<typeof cli> {
  const key = words.join(' ');
  const answer = answers.get(key) ?? cli(...harmless(words));
  answers.set(key, answer);
  return answer;
}

const kinds: readonly RecipeKind[] = ['train', 'evaluate'];
const headers: (RecipeHeader & { kind: RecipeKind })[] = (
  await Promise.all(kinds.map(async (kind) => (await listRecipes(kind)).map((header) => ({ ...header, kind }))))
).flat();

describe.each(headers)('the header of $kind/$name', ({ kind, name, what, needs, prepare, command, expected }) => {
  it('states what it is, what it needs, its command and its result', () => {
    for (const text of [what, needs, expected]) expect(text.length).toBeGreaterThan(10);
    expect(wordsOf(command).slice(0, 2)).toEqual(['qalign', kind]);
    expect(wordsOf(command)).toContain(name);
  });

  it('creates every record file that the recipe reads', async () => {
    const made = prepare.flatMap((line) => / --out (data\/[\w-]+)/.exec(line)?.[1] ?? []);
    const files =
      kind === 'train'
        ? await loadRecipe(kind, TrainRecipe, name).then(({ data }) => [...data.train, ...data.dev])
        : await loadRecipe(kind, EvaluateRecipe, name).then(({ data }) => data.map(({ records }) => records));
    expect(files.filter((file) => !made.includes(dirname(file)))).toEqual([]);
  });

  it('names only valid commands', async () => {
    for (const line of [...prepare, command].filter((one) => one.startsWith('qalign '))) {
      const words = wordsOf(line).slice(1);
      const { command: found, skip } = await commandOf(words);
      expect(() => parseLine(found, words.slice(skip)), line).not.toThrow();
      const series = words.includes('--seeds');
      if (words[0] === 'models' || series) continue; // would download, or has no plan
      const heard = await tried(words);
      expect(heard.code, `${line}\n${heard.said.join('\n')}`).not.toBe(2);
    }
  });
});

describe('recipes by name', () => {
  it.each(kinds)('%s --list shows every recipe with what it needs', async (kind) => {
    const list = await cli(kind, '--list');
    for (const { name, what, needs } of headers.filter((one) => one.kind === kind))
      for (const text of [name, what, needs]) expect(list.out).toContain(text);
    const json = JSON.parse((await cli(kind, '--list', '--json')).out) as RecipeHeader[];
    expect(json.map(({ name }) => name)).toEqual(headers.filter((one) => one.kind === kind).map(({ name }) => name));
  });

  it.each([
    ['train', 'batch_size = 64  (whole number, at least 1)'],
    ['train', 'data.train  (list of text; required)'],
    ['evaluate', 'ensemble.with[].id_column = id  (text)'],
    ['serve', 'limits.items = 64  (whole number, at least 1)'],
  ])('%s --keys shows %s', async (verb, line) => {
    const { out, code } = await cli(verb, '--keys');
    expect(code).toBe(0);
    expect(out.split('\n')).toContain(line);
    expect(JSON.parse((await cli(verb, '--keys', '--json')).out)).toContainEqual(
      expect.objectContaining({ key: line.split(/ /)[0] }),
    );
  });

  it.each([
    [['train', 'konik', '--plan'], /No recipe is named "konik" \(did you mean "koniq"\?\)/],
    [['train', 'nono-1-late', '--plan'], /did you mean "nano-1-late"/],
    [['evaluate', 'onaelign', '--plan'], /did you mean "onealign"/],
    [
      ['train', 'configs/train/konik.yaml', '--plan'],
      /The file configs\/train\/konik.yaml does not exist \(did you mean "koniq"\?\)/,
    ],
    [['train', 'koniq', 'epoch=3', '--plan'], /epoch: unknown key \(did you mean "epochs"\?\)/],
  ])('%j gets the nearest name', async (line, message) => {
    const { code, said } = await cli(...line);
    expect(code).toBeGreaterThan(0);
    expect(said.join('\n')).toMatch(message);
  });
});

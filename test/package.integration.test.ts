import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../src/base/package-root.js';
import { blocksOf } from './examples/documents.js';
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

/** TypeScript examples of README and of the guides. */
const examplePrograms = async (): Promise<string[]> => {
  const guides = (await readdir(join(installed, 'docs/guides'))).map((name) => `docs/guides/${name}`);
  const texts = await Promise.all(['README.md', ...guides].map((file) => readFile(join(installed, file), 'utf8')));
  return texts.flatMap(programsOf);
};
const programsOf = (text: string): string[] =>
  blocksOf(text).flatMap(({ language, code }) => (language === 'ts' ? [code] : []));

/** Paths of this repository in a text, without patterns. */
const PATHS =
  /(?<![\w./@-])(?:src|test|configs|docs|bridge|python|deploy|\.ci|\.config|\.github)\/[\w./-]*\w(?![\w./-]*[*{<])/g;
/** Paths that documents use for a checkout, and placeholders. */
const OF_THE_REPOSITORY = [
  '.ci/run',
  'test/examples',
  'test/baselines/nano_baselines.py',
  'test/baselines/clip-order.sh',
  'configs/VERB/NAME.yaml',
  'python/requirements-NAME.lock',
  'test/python/gpu',
];

/** The text that people read: the strings of code, the whole text of other files. */
function textsOf(file: string, source: string): string {
  if (file.endsWith('.py')) return source.replaceAll(/^\s*#.*$/gm, '').replaceAll(/"""[^]*?"""/g, '');
  if (!file.endsWith('.js')) return source;
  const strings: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node))
      strings.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest));
  return strings.join('\n');
}

interface Ran {
  readonly code: number;
  readonly text: string;
}

function node(...words: [{ cwd: string }, ...string[]] | string[]): Promise<Ran> {
  const [first, ...rest] = words;
  const [options, args] = typeof first === 'object' ? [first, rest as string[]] : [{ cwd: project }, words as string[]];
  return new Promise((resolve) =>
    execFile(process.execPath, args, options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: `${stdout}${stderr}` }),
    ),
  );
}

const tsc = join(packageRoot, 'node_modules/typescript/bin/tsc');

interface Mode {
  readonly options: Readonly<Record<string, unknown>>;
  /** The user's package.json. */
  readonly type?: 'module';
}

/** Projects that users have, without types of their own. One of each module system checks all declarations: slow. */
const strict = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  lib: ['ES2022'],
  target: 'ES2022',
};
const NODE_NEXT: Mode = { type: 'module', options: { ...strict, module: 'NodeNext' } };
const checked = (mode: Mode): Mode => ({ ...mode, options: { ...mode.options, skipLibCheck: false } });
const MODES: Readonly<Record<string, Mode>> = {
  'an ES module of Node': checked(NODE_NEXT),
  'a bundler': {
    type: 'module',
    options: { ...strict, lib: ['ES2022', 'DOM', 'DOM.Iterable'], module: 'ESNext', moduleResolution: 'Bundler' },
  },
  'CommonJS, module NodeNext': checked({ options: { ...strict, module: 'NodeNext' } }),
  'CommonJS, module Node16': { options: { ...strict, module: 'Node16' } },
  'CommonJS, resolution node10': {
    options: { ...strict, module: 'CommonJS', moduleResolution: 'node10', ignoreDeprecations: '6.0' },
  },
};

/** Compiles files like a user, in the project, so that they find the package. File → its errors. */
async function compile(
  folder: string,
  { options, type }: Mode,
  files: Readonly<Record<string, string>>,
): Promise<Map<string, string[]>> {
  const place = join(project, folder);
  await mkdir(place, { recursive: true });
  await writeFile(join(place, 'package.json'), JSON.stringify({ name: 'user', private: true, ...(type && { type }) }));
  const config = { compilerOptions: { ...options, outDir: 'out', rootDir: '.' }, files: Object.keys(files) };
  await writeFile(join(place, 'tsconfig.json'), JSON.stringify(config));
  for (const [name, source] of Object.entries(files)) await writeFile(join(place, name), `${source}\nexport {};\n`);
  const { text } = await node(tsc, '-p', place, '--pretty', 'false');
  const errors = new Map<string, string[]>();
  for (const [line, file = ''] of text.matchAll(/^(\S.*?)(?:\(\d+,\d+\))?: error .*$|^error TS.*$/gm)) {
    const name = basename(file);
    errors.set(name, [...(errors.get(name) ?? []), line]);
  }
  return errors;
}

const cli = (...words: string[]): Promise<Ran> => node(join(installed, 'dist/src/cli/main.js'), ...words);

describe('the packed package', () => {
  it('compiles every TypeScript example of README and the guides, and checks recipes at compile time', async () => {
    const blocks = await examplePrograms();
    expect(blocks.length).toBeGreaterThan(8);
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
    const examples = Object.fromEntries(blocks.map((block, i) => [`example-${i}.ts`, block]));
    const errors = await compile('readme', NODE_NEXT, { ...examples, 'good.ts': good, 'bad.ts': bad });
    const ofBad = errors.get('bad.ts') ?? [];
    errors.delete('bad.ts');
    expect([...errors]).toEqual([]);
    expect(ofBad.map((line) => /\((\d+),/.exec(line)?.[1])).toEqual(['3', '4', '5']);
    expect(ofBad[0]).toMatch(/epoch/);
  }, 300_000);

  it.each(Object.entries(MODES))(
    'has types and runs for %s',
    async (name, mode) => {
      const use = `import { createScorer, isFailure, LEVELS, QalignError, type ScoreOutcome, type Scorer } from 'qalign';
import { createClient, ServiceError, type ErrorCode, type QalignClient, type ScoreAnswer } from 'qalign/client';
export async function first(scorer: Scorer): Promise<number | string> {
  const one: ScoreOutcome = await scorer.score('a.jpg', { task: 'quality' });
  const all: ScoreOutcome[] = await scorer.score('a.jpg');
  for await (const next of scorer.scoreMany(['a.jpg'], { task: 'quality' })) if (!isFailure(next)) return next.score;
  return isFailure(one) ? one.error.code : one.score + all.length;
}
export async function second(client: QalignClient, bytes: Uint8Array): Promise<ScoreAnswer> {
  return client.score([bytes, new Blob([]), { data: bytes, name: 'a' }, { path: 'b' }, { url: 'https://a.b/c' }]);
}
export const codeOf = (error: unknown): ErrorCode | 'UNKNOWN' | undefined =>
  error instanceof ServiceError || error instanceof QalignError ? error.code : undefined;
void (await0)();
async function await0() {
  await using nothing = { async [Symbol.asyncDispose]() {} };
  console.log(typeof createScorer, typeof createClient, LEVELS.length, typeof nothing);
}`;
      const folder = name.replaceAll(/\W+/g, '-');
      expect([...(await compile(folder, mode, { 'use.ts': use }))]).toEqual([]);
      const ran = await node(join(project, folder, 'out/use.js'));
      expect(ran).toEqual({ code: 0, text: 'function function 5 object\n' });
    },
    300_000,
  );

  it('runs the TypeScript example of README; those of the guides run in test/examples', async () => {
    const folder = join(project, 'readme');
    await mkdir(join(folder, 'photos'), { recursive: true });
    for (const name of ['photo.jpg', 'photos/a.jpg'])
      await copyFile(join(installed, 'test/fixtures/pictures/pristine.jpg'), join(folder, name));
    const [program, ...more] = programsOf(await readFile(join(installed, 'README.md'), 'utf8'));
    expect(more).toEqual([]);
    expect(await compile('readme', NODE_NEXT, { 'run.ts': program! })).toEqual(new Map());
    const ran = await node({ cwd: folder }, join(folder, 'out/run.js'));
    expect(ran.code, ran.text).toBe(0);
    expect(ran.text).toMatch(/excellent|good|fair|poor|bad/);
  }, 300_000);

  it('has its samples, schemas and recipes, and the source of every source map', async () => {
    for (const path of [
      'test/fixtures/pictures/pristine.jpg',
      'docs/schema/train-recipe.json',
      'configs/train/koniq.yaml',
    ])
      expect(existsSync(join(installed, path)), path).toBe(true);
    const files = await readdir(join(installed, 'dist'), { recursive: true });
    const maps = files.filter((file) => file.endsWith('.map'));
    expect(maps.length).toBeGreaterThan(100);
    for (const map of maps) {
      const path = join(installed, 'dist', map);
      const { sources } = JSON.parse(await readFile(path, 'utf8')) as { sources: string[] };
      for (const source of sources) expect(existsSync(join(dirname(path), source)), source).toBe(true);
    }
  });

  it('has every file that its README, configurations and messages name', async () => {
    const files = (await readdir(installed, { recursive: true })).filter((file) => !file.startsWith('docs/'));
    const lacking: string[] = [];
    for (const file of files.filter((name) => /^(README\.md|(configs|python|dist)\/.*\.(md|yaml|py|js))$/.test(name))) {
      const text = textsOf(file, await readFile(join(installed, file), 'utf8'));
      for (const [path] of text.matchAll(PATHS))
        if (!existsSync(join(installed, path)) && !OF_THE_REPOSITORY.includes(path)) lacking.push(`${file}: ${path}`);
    }
    expect(lacking).toEqual([]);
  });

  it('serves the reference page without swagger-ui-dist, whose dependency has an install script with telemetry', async () => {
    const { packages } = JSON.parse(await readFile(join(packageRoot, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { dev?: boolean }>;
    };
    const production = Object.keys(packages).filter((path) => packages[path]?.dev !== true);
    expect(production.filter((path) => /scarf|swagger/.test(path))).toEqual([]);
    expect(existsSync(join(project, 'node_modules/swagger-ui-dist'))).toBe(false);
    for (const name of ['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt'])
      expect(existsSync(join(installed, 'dist/swagger-ui', name)), name).toBe(true);
    expect(await readFile(join(installed, 'NOTICE'), 'utf8')).toContain('swagger-ui-dist');
    const data = await mkdtemp(join(work, 'data-'));
    const words = ['serve', 'models=[nano]', 'device=cpu', 'port=0', `data_dir=${data}`];
    const service = spawn(process.execPath, [join(installed, 'dist/src/cli/main.js'), ...words], { cwd: project });
    try {
      const url = await new Promise<string>((resolve, reject) => {
        let said = '';
        const read = (chunk: Buffer): void => {
          said += chunk.toString();
          const found = /http:\/\/[\w.:[\]]+/.exec(said);
          if (found !== null) resolve(found[0]);
        };
        service.stdout.on('data', read);
        service.stderr.on('data', read);
        service.once('exit', () => reject(new Error(said)));
      });
      for (const name of ['', '/swagger-ui.css', '/swagger-ui-bundle.js', '/favicon-32x32.png'])
        expect((await fetch(`${url}/docs${name}`)).status, name).toBe(200);
    } finally {
      service.kill('SIGTERM');
    }
  }, 120_000);

  it('documents every export', () => {
    for (const entry of ['src/index.d.ts', 'src/client/client.d.ts']) {
      const path = join(installed, 'dist', entry);
      const program = ts.createProgram([path], { module: ts.ModuleKind.NodeNext, skipLibCheck: true });
      const checker = program.getTypeChecker();
      const module = checker.getSymbolAtLocation(program.getSourceFile(path) as ts.SourceFile) as ts.Symbol;
      const silent = checker.getExportsOfModule(module).filter((symbol) => {
        const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
        return [symbol, target].every((one) => one.getDocumentationComment(checker).length === 0);
      });
      expect(
        silent.map(({ name }) => name),
        entry,
      ).toEqual([]);
    }
  }, 60_000);

  it('shows types by name when an editor shows a call of the client', () => {
    const path = join(installed, 'dist/src/client/client.d.ts');
    const program = ts.createProgram([path], { module: ts.ModuleKind.NodeNext, skipLibCheck: true });
    const checker = program.getTypeChecker();
    const module = checker.getSymbolAtLocation(program.getSourceFile(path) as ts.SourceFile) as ts.Symbol;
    const typeOf = (name: string): ts.Type => {
      const found = checker.getExportsOfModule(module).find((symbol) => symbol.name === name) as ts.Symbol;
      return checker.getDeclaredTypeOfSymbol(
        found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found,
      );
    };
    const show = (owner: ts.Type, name: string): string =>
      checker.typeToString(
        checker.getTypeOfSymbol(owner.getProperty(name) as ts.Symbol),
        undefined,
        ts.TypeFormatFlags.NoTruncation,
      );
    expect(show(typeOf('QalignClient'), 'score')).toBe(
      '(items: readonly ClientItem[], settings?: ScoreFields | undefined, extra?: UploadOptions | undefined) => Promise<ScoreAnswer>',
    );
    expect(show(typeOf('QalignClient'), 'jobs')).toBe('JobCalls');
    expect(show(typeOf('ServiceError'), 'code')).toBe('ErrorCode | "UNKNOWN"');
  }, 60_000);

  it('names only models that it contains, and finds recipes by name from another folder', async () => {
    const models = await cli('models', 'list', '--json');
    expect(models.text).toContain('one-align');
    expect(models.text).not.toContain('tiny-untrained');
    expect((await cli('evaluate', 'nano', '--plan')).text).toContain('data/biq2021-all/dev.jsonl');
    expect((await cli('train', '--list')).text).toContain('full fine-tuning on KonIQ-10k');
    expect((await cli('serve', '--keys')).text).toContain('limits.items = 64');
  }, 120_000);
});

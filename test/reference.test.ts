import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import ts from 'typescript';
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';
import { allCommands, splitHelp } from '../.config/reference/cli.js';
import { ENVIRONMENT, INTERNAL } from '../.config/reference/environment.js';
import { RECIPE_TABLES } from '../.config/reference/keys.js';
import { allMetrics } from '../.config/reference/metrics.js';
import { fieldOfColumn } from '../.config/reference/result.js';
import { ERROR_CODES } from '../bridge/protocol/errors.js';
import { packageRoot } from '../src/base/package-root.js';
import { describeKeys } from '../src/config/recipe-keys.js';
import { ServeConfig } from '../src/config/serve.js';
import { FIELD_NAMES } from '../src/recipes/score/layout/fields.js';
import { CSV_COLUMNS } from '../src/recipes/score/result-csv.js';
import { ROUTES } from '../src/server/routes/index.js';

const read = (path: string): string => readFileSync(join(packageRoot, path), 'utf8');
const pageOf = (name: string): string => read(`docs/reference/${name}`);
const below = (folder: string): string[] =>
  readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`);

/** What a page does not have as code in the first cell of a row. */
const lacking = (name: string, words: readonly string[]): string[] => {
  const rows = new Set([...pageOf(name).matchAll(/^\| `([^`]+)` \|/gm)].map(([, word]) => word));
  return words.filter((word) => !rows.has(word));
};

/** What the compiler reports about a program in the folder of the library. */
function compile(text: string): string[] {
  const file = join(packageRoot, 'src/example-of-the-reference.ts');
  const read = ts.readConfigFile(join(packageRoot, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, packageRoot);
  const real = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...real,
    fileExists: (path) => path === file || real.fileExists(path),
    getSourceFile: (path, version, ...rest) =>
      path === file ? ts.createSourceFile(path, text, version) : real.getSourceFile(path, version, ...rest),
  };
  const program = ts.createProgram([file], { ...options, noEmit: true, noUnusedLocals: false }, host);
  const source = program.getSourceFile(file);
  return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
    ({ messageText, start = 0 }) =>
      `${text.slice(0, start).split('\n').length}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
  );
}

describe('docs/reference', () => {
  it('has every command with its flags and an example', async () => {
    const text = pageOf('cli.md');
    for (const { name, flags, examples } of await allCommands()) {
      const part = text.slice(text.indexOf(`\n## qalign ${name}\n`)).split('\n## ')[1] ?? '';
      expect(
        Object.keys(flags).filter((flag) => flags[flag]?.hidden !== true && !part.includes(`--${flag}\` |`)),
        name,
      ).toEqual([]);
      expect(part).toContain(examples[0]);
    }
  });

  it('has every key of recipes, descriptions and the service, and each has a meaning', () => {
    for (const { schema, title } of RECIPE_TABLES) {
      const keys = describeKeys(schema);
      expect(keys.filter(({ meaning }) => meaning.length < 8).map(({ key }) => `${title}: ${key}`)).toEqual([]);
      expect(
        lacking(
          'recipes.md',
          keys.map(({ key }) => key),
        ),
      ).toEqual([]);
    }
    expect(
      lacking(
        'service.md',
        describeKeys(ServeConfig).map(({ key }) => key),
      ),
    ).toEqual([]);
  });

  it('has every field and column of a result, error, metric and route', () => {
    expect(lacking('result.md', [...FIELD_NAMES, ...CSV_COLUMNS])).toEqual([]);
    expect(lacking('errors.md', Object.keys(ERROR_CODES))).toEqual([]);
    const metrics = allMetrics().map(({ name }) => name);
    expect(
      lacking(
        'metrics.md',
        metrics.filter((name) => name.startsWith('qalign_')),
      ),
    ).toEqual([]);
    const routes = ROUTES.map(({ method, path }) => `\n### ${method.toUpperCase()} ${path}\n`);
    expect(routes.filter((title) => !pageOf('http.md').includes(title))).toEqual([]);
  });

  it.each([
    ['library.md', 'src/index.ts'],
    ['client.md', 'src/client/client.ts'],
  ])('%s says of every export of %s what it is', (name, file) => {
    const exported = [...read(file).matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
      .flatMap(([, names = '']) => names.split(','))
      .map(
        (one) =>
          one
            .trim()
            .split(/\s+as\s+/)
            .at(-1) ?? '',
      )
      .filter((one) => one !== '');
    expect(exported.length).toBeGreaterThan(15);
    const undocumented = exported.filter((one) => !new RegExp(`\\n### ${one}\\n\\n(?!\`\`\`)\\S`).test(pageOf(name)));
    expect(undocumented).toEqual([]);
  });

  it.each(['library.md', 'client.md'])(
    '%s has an example of every function, and each example compiles',
    (name) => {
      const [, functions = ''] = /\n## Functions\n([^]*?)\n## /.exec(pageOf(name)) ?? [];
      const parts = functions.split('\n### ').slice(1);
      const examples = parts.map(
        (part) => [...part.matchAll(/^```ts\n([^]*?)\n```/gm)].map(([, code = '']) => code)[1],
      );
      const names = parts.map((part) => part.split('\n')[0] ?? '');
      expect(names.filter((_, at) => examples[at] === undefined)).toEqual([]);
      const entry = name === 'library.md' ? './index.js' : './client/client.js';
      const bodies = examples.map((code, at) => `export async function example${at}() {\n${code}\n}`);
      expect(compile([`import { ${names.join(', ')} } from '${entry}';`, ...bodies].join('\n'))).toEqual([]);
    },
    120_000,
  );

  it.each(['library.md', 'client.md'])('%s has the default of every option', (name) => {
    const sections = pageOf(name)
      .split('\n### ')
      .filter((part) => /^\w*(Options|Query)\n/.test(part));
    expect(sections.length).toBeGreaterThan(2);
    const unclear = sections.flatMap((part) =>
      [...part.matchAll(/^\| `(\w+)\?` \| (.*)$/gm)]
        .filter(([, , rest = '']) => !/=>|AbortSignal|OnStage|Progress`|`undefined`|\bdefault\b/i.test(rest))
        .map(([, member = '']) => `${part.split('\n')[0] ?? ''}.${member}`),
    );
    expect(unclear).toEqual([]);
  });

  it.each(readdirSync(join(packageRoot, 'docs/reference')))('%s has no markup of docstrings', (name) => {
    expect(pageOf(name)).not.toMatch(/\{@\w+/);
  });

  it('has every environment variable that the sources read', () => {
    const known = [...ENVIRONMENT.map(({ name }) => name), ...INTERNAL];
    const sources = ['src', 'bridge', 'python/qalign'].flatMap(below).filter((path) => /\.(ts|py)$/.test(path));
    const named = new Set(sources.flatMap((path) => read(path).match(/\bQALIGN_[A-Z]+(?:_[A-Z]+)*\b/g) ?? []));
    const unknown = [...named].filter((name) => !known.includes(name) && !name.startsWith('QALIGN_SERVE_'));
    expect(unknown).toEqual([]);
    expect(named.size).toBeGreaterThan(8);
  });
});

it('the default of a flag is read from its help', () => {
  const of = (help: string, choices?: string[]) =>
    splitHelp({ type: 'string', help, ...(choices === undefined ? {} : { choices }) });
  expect(of('random seed (default: 0)')).toEqual({ fallback: '0', meaning: 'random seed' });
  expect(of('what is printed; default: text')).toEqual({ fallback: 'text', meaning: 'what is printed' });
  expect(of('a: one, b: two (default), c: three', ['a', 'b', 'c']).fallback).toBe('`b`');
  expect(of('auto: fp32 on a CPU', ['auto', 'fp32']).fallback).toBe('`auto`');
  expect(of('commit of a hub model')).toEqual({ fallback: 'none', meaning: 'commit of a hub model' });
  expect(of('output folder (required)')).toEqual({ fallback: 'required', meaning: 'output folder' });
});

it('every column belongs to a field', () => {
  expect(fieldOfColumn('p_good').key).toBe('level_probs.good');
  expect(fieldOfColumn('decoder').key).toBe('preprocessing.decoder');
  expect(() => fieldOfColumn('colour')).toThrow('colour');
});

describe('YAML files name their schema for editors', () => {
  const ajv = new Ajv({ strict: false, allErrors: true });
  const validators = new Map<string, ValidateFunction>();
  const { files } = JSON.parse(read('package.json')) as { files: string[] };
  const shipped = [...below('configs').filter((path) => path.endsWith('.yaml')), 'deploy/serve.yaml'].sort();

  it.each(shipped)('%s, and are valid by it', (path) => {
    const [, schema = ''] = /^# yaml-language-server: \$schema=(\S+)$/m.exec(read(path)) ?? [];
    const place = normalize(join(dirname(path), schema));
    expect(place).toMatch(/^docs\/schema\/[\w-]+\.json$/);
    expect(files).toContain('docs'); // the packed package has the schema at the same place
    const validate = validators.get(place) ?? ajv.compile(JSON.parse(read(place)) as object);
    validators.set(place, validate);
    validate(parse(read(path)));
    expect(validate.errors).toBeNull();
  });
});

import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { nodeOf } from '../../src/config/recipe-keys.js';
import { exportsOf, type Declared, type Docs, type Member } from './declarations.js';
import { schemaSections } from './http.js';
import { fieldTable } from './keys.js';
import { anchor, block, code, GENERATED, link, page, prose, sentence, table } from './markdown.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const SECTIONS = schemaSections('http.md');
/** Types whose values another page lists. */
const LISTED: Readonly<Record<string, string>> = {
  TrainRecipeInput: 'Its keys are those of the [training recipe](recipes.md#training-recipe).',
  EvaluateRecipeInput: 'Its keys are those of the [evaluation recipe](recipes.md#evaluation-recipe).',
  ErrorCode: 'The codes are listed in [Errors](errors.md).',
};
const KINDS: Readonly<Record<Declared['kind'], string>> = {
  function: 'Functions',
  class: 'Classes',
  value: 'Values',
  type: 'Types',
};

export const libraryPage = (): Promise<string> =>
  entryPage('Library', 'src/index.ts', "import { createScorer } from 'qalign';", [
    'What `import … from "qalign"` exports, for Node 20 or newer. Lengths are in pixels and times in milliseconds where a name ends in `Ms`, unless stated otherwise. Functions reject with a `QalignError` whose `code` is in [Errors](errors.md).',
  ]);

export const clientPage = (): Promise<string> =>
  entryPage('Client', 'src/client/client.ts', "import { createClient } from 'qalign/client';", [
    'What `import … from "qalign/client"` exports: the [HTTP service](http.md) as typed functions, for Node, Bun, Deno and browsers.',
  ]);

async function entryPage(title: string, file: string, line: string, intro: readonly string[]): Promise<string> {
  const exported = exportsOf(file);
  const silent = exported.filter(({ doc }) => doc === '').map(({ name }) => name);
  if (silent.length > 0) throw new Error(`${file} exports names without a docstring: ${silent.join(', ')}`);
  const sections = await Promise.all(
    Object.entries(KINDS).map(async ([kind, heading]) => {
      const own = exported.filter((one) => one.kind === kind);
      return own.length === 0 ? [] : [`## ${heading}`, ...(await Promise.all(own.map(part)))];
    }),
  );
  return page(
    GENERATED,
    `# ${title}`,
    ...intro,
    block('ts', line),
    ...Object.entries(KINDS).flatMap(([kind, heading]) => {
      const own = exported.filter((one) => one.kind === kind);
      return own.length === 0
        ? []
        : [`${heading}: ${own.map(({ name }) => link(code(name), `#${anchor(name)}`)).join(', ')}.`];
    }),
    ...sections.flat(),
  );
}

async function part(one: Declared): Promise<string> {
  const { name, doc, members } = one;
  return page(
    `### ${name}`,
    prose(doc),
    block('ts', one.code),
    ...tagLines(one),
    ...(await schemaFields(one)),
    LISTED[name] ?? (members.length === 0 ? '' : memberTable(members)),
  ).trimEnd();
}

async function schemaFields({ file, schema }: Declared): Promise<string[]> {
  if (schema === undefined) return [];
  const module = (await import(pathToFileURL(join(ROOT, file)).href)) as Record<string, TSchema>;
  const found = module[schema];
  if (found === undefined) return [];
  const place = SECTIONS.get(nodeOf(found));
  return [place === undefined ? fieldTable(found, 'Always there', SECTIONS) : `Fields: ${place}.`];
}

const memberTable = (members: readonly Member[]): string =>
  table(
    ['Member', 'Type', 'Meaning'],
    members.map((one) => [code(`${one.name}${one.isOptional ? '?' : ''}`), code(one.type), inOneLine(one)]),
  );

/** A default that is a value of TypeScript, not words. */
const VALUE = /^('[^']*'|\[.*\]|[\d_.]+|true|false|[A-Z_]+|silentLogger)$/;

/** A docstring with its tags. */
function inOneLine({ doc, tags }: Docs): string {
  const rest = tags.map(({ name, text }) =>
    name === 'default'
      ? `Default: ${VALUE.test(text) ? code(text) : prose(text)}.`
      : name === 'example'
        ? `Example: ${code(text)}.`
        : name === 'throws'
          ? sentence(`throws ${prose(text)}`)
          : prose(sentence(text)),
  );
  return [prose(sentence(doc)), ...rest].join(' ').trim();
}

function tagLines({ tags }: Docs): string[] {
  const of = (name: string): string[] => tags.filter((tag) => tag.name === name).map(({ text }) => text);
  const parameters = of('param').map((text) => {
    const [, name = '', about = ''] = /^(\S+)\s*(?:-\s*)?([^]*)$/.exec(text) ?? [];
    return `- ${code(name)}: ${prose(about)}`;
  });
  return [
    parameters.join('\n'),
    ...of('returns').map((text) => prose(sentence(`returns ${text}`))),
    ...of('throws').map((text) => prose(sentence(`throws ${text}`))),
    ...of('example').map((text) => block('ts', text.replace(/^```\w*\n|\n```$/g, ''))),
  ];
}

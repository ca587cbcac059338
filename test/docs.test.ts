import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../src/base/package-root.js';
import { commandsOf } from './examples/documents.js';

const read = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');

/** Files and folders below a folder, as paths from the root of the repository. */
const below = (folder: string): string[] =>
  readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name}`)
    .filter((path) => !path.includes('__pycache__'))
    .sort();

/** Every Markdown document of the repository. */
const DOCUMENTS = [
  ...readdirSync(packageRoot).filter((name) => name.endsWith('.md')),
  ...['docs', 'configs', 'bridge', 'deploy', 'python', 'src', 'test', '.github']
    .flatMap(below)
    .filter((path) => path.endsWith('.md') && !path.includes('node_modules')),
];
const SOURCES = ['src', 'python/qalign', 'bridge', 'test', 'configs']
  .flatMap(below)
  .filter((path) => /\.(ts|py|yaml|wat|sh)$/.test(path));

/** The text without code blocks, which have neither headings nor links. */
const withoutBlocks = (text: string): string => text.replaceAll(/^```[^]*?^```/gm, '');

/** The anchors that GitHub creates for the headings of a document. */
export function anchors(text: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading = ''] of withoutBlocks(text).matchAll(/^#{1,6} +(.+)$/gm)) {
    const plain = heading.trim().toLowerCase();
    const slug = plain.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
    for (let count = 0; ; count++) {
      const anchor = count === 0 ? slug : `${slug}-${count}`;
      if (found.has(anchor)) continue;
      found.add(anchor);
      break;
    }
  }
  return found;
}

/** Targets of Markdown links and images that stay inside the repository. */
export function relativeLinks(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/\]\(<?([^)<>\s]+)>?(?: "[^"]*")?\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The path that a link of `file` leads to, from the root of the repository. */
const targetOf = (file: string, link: string): string => {
  const [path = ''] = link.split('#');
  return path === '' ? file : normalize(join(dirname(file), path));
};

function brokenLinks(file: string, text: string): string[] {
  return relativeLinks(text).filter((link) => {
    const target = targetOf(file, link);
    if (!existsSync(join(packageRoot, target))) return true;
    const anchor = link.split('#')[1];
    return anchor !== undefined && !anchors(target === file ? text : read(target)).has(anchor);
  });
}

describe('README.md', () => {
  it('has at most 150 lines', () => {
    expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(150);
  });

  it('says how to install qalign before it uses the command', () => {
    const commands = commandsOf(read('README.md'));
    const install = commands.findIndex((command) => command.includes('npm install --global'));
    expect(install).toBeGreaterThan(-1);
    expect(commands.findIndex((command) => /(^|\| *|&& *)qalign /.test(command))).toBeGreaterThan(install);
  });
});

describe('links', () => {
  it.each(DOCUMENTS)('of %s resolve', (file) => {
    expect(brokenLinks(file, read(file))).toEqual([]);
  });

  it('are detected if they are broken', () => {
    const text = '# A heading\n[a](#a-heading) [b](#another) [c](no-such.md) [d](docs/facts.md#no-such)\n';
    expect(brokenLinks('README.md', text)).toEqual(['#another', 'no-such.md', 'docs/facts.md#no-such']);
    expect(relativeLinks('[web](https://example.org) ![picture](a.png "title")')).toEqual(['a.png']);
    expect(brokenLinks('README.md', '```\n[in code](no-such.md)\n```\n')).toEqual([]);
  });

  it('of the packed documents lead to packed files', () => {
    const { files } = JSON.parse(read('package.json')) as { files: string[] };
    const isPacked = (path: string): boolean => files.some((entry) => path === entry || path.startsWith(`${entry}/`));
    const leadingOut = DOCUMENTS.filter(isPacked).flatMap((file) =>
      relativeLinks(read(file))
        .map((link) => targetOf(file, link))
        .filter((target) => !isPacked(target)),
    );
    expect(leadingOut).toEqual([]);
  });
});

describe('anchors', () => {
  it('are those of GitHub', () => {
    const text = '# One, two: `three`\n## Same\n## Same\n```\n# no heading\n```\n';
    expect([...anchors(text)]).toEqual(['one-two-three', 'same', 'same-1']);
  });

  it('that the code refers to exist', () => {
    const cited = SOURCES.flatMap((file) =>
      [...read(file).matchAll(/\bdocs\/([\w-]+\.md)#([\w-]+)/g)].map(([, page = '', anchor = '']) => ({
        file,
        page: `docs/${page}`,
        anchor,
      })),
    ).filter(({ file }) => file !== 'test/docs.test.ts');
    expect(cited.length).toBeGreaterThan(10);
    expect(
      cited.filter(({ page, anchor }) => !existsSync(join(packageRoot, page)) || !anchors(read(page)).has(anchor)),
    ).toEqual([]);
  });
});

describe('documents', () => {
  it.each(DOCUMENTS)('%s names only files and folders that exist', (file) => {
    const roots = /^(src|python|bridge|test|configs|deploy|docs|\.ci|\.config|\.github)\//;
    const named = [...withoutBlocks(read(file)).matchAll(/`([^`\s]+)`/g)].map(([, path = '']) => path);
    const whole = named.filter((path) => roots.test(path) && !/[*<…]/.test(path));
    expect(whole.filter((path) => !existsSync(join(packageRoot, path)))).toEqual([]);
    const short = named.filter((path) => !roots.test(path) && /^[\w./-]+\.(ts|py|wat)$/.test(path));
    expect(short.filter((path) => !SOURCES.some((source) => source.endsWith(`/${path}`)))).toEqual([]);
  });

  it('docs/architecture.md has a row for every folder of the code', () => {
    const text = read('docs/architecture.md');
    const folders = ['src', 'bridge', 'python/qalign']
      .flatMap(below)
      .filter((path) => statSync(join(packageRoot, path)).isDirectory())
      // a folder that has only subfolders is covered by their rows
      .filter((path) => readdirSync(join(packageRoot, path), { withFileTypes: true }).some((entry) => entry.isFile()));
    expect(folders.length).toBeGreaterThan(30);
    expect(folders.filter((folder) => !text.includes(`\`${folder}/\``))).toEqual([]);
  });
});

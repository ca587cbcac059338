/** Commands and programs of the documents, and examples of the help, as the tests run them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.js';
import { REGISTRY } from '../../src/cli/registry.js';

/** A program of a guide; its first line is a comment with its file name. */
export interface Program {
  readonly guide: string;
  readonly name: string | undefined;
  readonly language: string;
  readonly code: string;
}

const read = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');
const withoutComment = (line: string): string => line.replace(/\s+# .*$/, '').trim();

/** Code blocks, those in lists too. */
export const blocksOf = (text: string): { language: string; code: string }[] =>
  [...text.matchAll(/^ *```(\w*)\n([^]*?)^ *```/gm)].map(([, language = '', code = '']) => ({ language, code }));

/** One command for each line of the `sh` blocks; a backslash continues a line. */
export const commandsOf = (text: string): string[] =>
  blocksOf(text)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ code }) =>
      code
        .replaceAll(/\s*\\\n\s*/g, ' ')
        .trim()
        .split('\n'),
    )
    .map(withoutComment);

/** Guides in the order in which a reader meets them in the list. */
export const GUIDES: readonly string[] = [...read('docs/guides/README.md').matchAll(/\]\(([\w-]+\.md)\)/g)].map(
  ([, name = '']) => `docs/guides/${name}`,
);

export const guideFiles = (): string[] =>
  readdirSync(join(packageRoot, 'docs/guides'))
    .filter((name) => name !== 'README.md')
    .map((name) => `docs/guides/${name}`);

export const programs: readonly Program[] = GUIDES.flatMap((guide) =>
  blocksOf(read(guide))
    .filter(({ language }) => /^(ts|js|python|yaml)$/.test(language))
    .map(({ language, code }) => ({ guide, language, code, name: /^(?:\/\/|#) ([\w.-]+)\n/.exec(code)?.[1] })),
);

export const readmeCommands = commandsOf(read('README.md'));
/** Commands of a guide that neither README nor an earlier guide has. */
export const guideCommands: readonly { readonly guide: string; readonly command: string }[] = (() => {
  const seen = new Set(readmeCommands);
  return GUIDES.flatMap((guide) =>
    commandsOf(read(guide)).flatMap((command) => {
      if (seen.has(command)) return [];
      seen.add(command);
      return [{ guide, command }];
    }),
  );
})();

/** Examples of the help that no document has. */
export async function helpCommands(): Promise<string[]> {
  const found = ['qalign score photos/ --task quality --format jsonl']; // of `qalign --help`
  for (const row of Object.values(REGISTRY)) {
    const command = await row.load();
    for (const one of 'commands' in command ? command.commands : [command, ...(command.subcommands ?? [])])
      found.push(...one.examples);
  }
  const documented = new Set([...readmeCommands, ...guideCommands.map(({ command }) => command)]);
  return [...new Set(found.map(withoutComment))].filter((command) => !documented.has(command));
}

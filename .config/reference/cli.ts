import { EXIT_CODES, GENERAL_FLAGS, type Command, type Flag } from '../../src/cli/command.js';
import { REGISTRY } from '../../src/cli/registry.js';
import { flagName, usageOf, valueOf } from '../../src/cli/terminal/help.js';
import { anchor, block, code, GENERATED, link, page, prose, sentence, table } from './markdown.js';

/** Every command, those of groups by their whole names, in the order of the help. */
export async function allCommands(): Promise<Command[]> {
  const found = await Promise.all(Object.values(REGISTRY).map(({ load }) => load()));
  return found.flatMap((one) => ('commands' in one ? one.commands : [one, ...(one.subcommands ?? [])]));
}

export async function cliPage(): Promise<string> {
  const commands = await allCommands();
  const titleOf = ({ name }: Command): string => `qalign ${name}`;
  return page(
    GENERATED,
    '# Command line',
    'Without an installation, write `npx qalign` for `qalign`. `qalign COMMAND --help` shows the same.',
    table(
      ['Command', 'What it does'],
      commands.map((command) => [
        link(code(titleOf(command)), `#${anchor(titleOf(command))}`),
        prose(sentence(command.summary)),
      ]),
    ),
    '## Exit codes',
    table(
      ['Exit code', 'Meaning'],
      Object.entries(EXIT_CODES).map(([number, meaning]) => [number, sentence(meaning)]),
    ),
    'A command that is interrupted twice ends immediately with 130 (Ctrl-C), 143 (SIGTERM) or 129 (SIGHUP). It ends with 141 when the reader of its output closes the pipe. [Errors](errors.md) lists the exit code of each error.',
    '## Flags of every command',
    flagTable(Object.entries(GENERAL_FLAGS)),
    ...commands.map((command) => commandPart(titleOf(command), command)),
  );
}

function commandPart(title: string, command: Command): string {
  const groups = [...new Set(Object.values(command.flags).map(({ group }) => group))];
  return page(
    `## ${title}`,
    prose(sentence(command.summary)),
    block('text', usageOf(command)),
    ...(command.description ?? '').split('\n').map((line) => prose(line)),
    ...groups.flatMap((group) => [
      group === undefined ? '' : `**${sentence(group).replace(/\.$/, '')}**`,
      flagTable(Object.entries(command.flags).filter(([, flag]) => flag.group === group && flag.hidden !== true)),
    ]),
    command.examples.length === 1 ? 'Example:' : 'Examples:',
    block('sh', command.examples.join('\n')),
  ).trimEnd();
}

const flagTable = (flags: readonly (readonly [string, Flag])[]): string =>
  table(
    ['Flag', 'Value', 'Default', 'Meaning'],
    flags.map(([name, flag]) => {
      const { fallback, meaning } = splitHelp(flag);
      const value = valueOf(flag);
      return [
        code(flagName(name, flag)),
        value === undefined ? 'none' : `${code(value)}${flag.multiple ? ', repeatable' : ''}`,
        fallback,
        prose(sentence(meaning)),
      ];
    }),
  );

/** Separates the default from a help text. `auto` is the default of every flag that accepts it. */
export function splitHelp({ type, choices, value, help }: Omit<Flag, 'group' | 'short' | 'multiple'>): {
  fallback: string;
  meaning: string;
} {
  if (type === 'boolean') return { fallback: 'off', meaning: help };
  const named = / ?\(default:? ([^()]+)\)|(?:^|[;,] )default: (.+)$/.exec(help);
  if (named !== null) {
    const meaning = help.replace(named[0], '');
    return { fallback: prose(named[1] ?? named[2] ?? ''), meaning: meaning === '' ? help : meaning };
  }
  if (help.endsWith(' (required)')) return { fallback: 'required', meaning: help.slice(0, -' (required)'.length) };
  const marked = / \(default\)/.exec(help);
  if (marked === null)
    return { fallback: /^auto\b/.test(choices?.[0] ?? value ?? '') ? code('auto') : 'none', meaning: help };
  const before = help.slice(0, marked.index);
  const chosen = choices?.findLast((choice) => new RegExp(`(^|[;,] )${choice}: [^:]*$`).test(before));
  return { fallback: code(chosen ?? choices?.[0] ?? ''), meaning: help };
}

import { EXIT_CODES, GENERAL_FLAGS, type Command, type CommandGroup, type Flag } from '../command.js';
import type { Row } from '../registry.js';
import { wrap } from './fold.js';
import { labelled } from './table.js';
import type { Terminal } from './terminal.js';

type Screen = Pick<Terminal, 'columns' | 'paint'>;

/** The page of `qalign --help`. */
export function overviewHelp(version: string, registry: Readonly<Record<string, Row>>, screen: Screen): string {
  const rows = Object.entries(registry).map(([name, row]) => [name, row.summary] as const);
  return [
    ...wrap(`qalign ${version}: visual quality and aesthetics scores from a large multimodal model`, screen.columns),
    '',
    'usage: qalign COMMAND [ARGUMENTS]',
    '',
    ...columns(rows, screen),
    '',
    'example:',
    '  qalign score photos/ --task quality --format jsonl',
    '',
    ...wrap(
      `"qalign COMMAND --help" describes a command. Exit codes: ${Object.entries(EXIT_CODES)
        .map(([code, meaning]) => `${code} ${meaning}`)
        .join(', ')}.`,
      screen.columns,
    ),
    '',
  ].join('\n');
}

export function groupHelp(group: CommandGroup, screen: Screen): string {
  return [
    ...wrap(`qalign ${group.name}: ${group.summary}`, screen.columns),
    '',
    ...columns(
      group.commands.map((command) => [command.name, command.summary]),
      screen,
    ),
    '',
    'example:',
    `  ${group.commands[0]?.examples[0] ?? ''}`,
    '',
  ].join('\n');
}

export function commandHelp(command: Command, screen: Screen): string {
  const flags = Object.entries<Flag>({ ...command.flags, ...GENERAL_FLAGS }).filter(([, flag]) => flag.hidden !== true);
  return [
    ...wrap(`qalign ${command.name}: ${command.summary}`, screen.columns),
    '',
    `usage: ${usageOf(command)}`,
    ...(command.description === undefined
      ? []
      : ['', ...command.description.split('\n').flatMap((line) => wrap(line, screen.columns))]),
    '',
    ...flagLines(flags, screen),
    '',
    command.examples.length === 1 ? 'example:' : 'examples:',
    ...command.examples.map((example) => `  ${example}`),
    '',
  ].join('\n');
}

/** `qalign train NAME|FILE [key=value …] [FLAGS]`. */
export function usageOf({ name, args, overrides }: Command): string {
  return `qalign ${name}${args === undefined ? '' : ` ${args}`}${overrides === true ? ' [key=value …]' : ''} [FLAGS]`;
}

/** Flags with a group are under its heading; the others follow. All help texts start in the same column. */
function flagLines(flags: readonly (readonly [string, Flag])[], screen: Screen): string[] {
  const rows = columnRows(
    flags.map(([name, flag]) => [flagUsage(name, flag), flag.help]),
    screen,
  );
  return flags.flatMap(([, { group }], index) => {
    if (group === flags[index - 1]?.[1].group) return rows[index]!;
    return [...(index === 0 ? [] : ['']), ...(group === undefined ? [] : [`${group}:`]), ...rows[index]!];
  });
}

function flagUsage(name: string, flag: Flag): string {
  const value = valueOf(flag);
  return `${flagName(name, flag)}${value === undefined ? '' : ` ${value}`}${flag.multiple ? ' …' : ''}`;
}

/** `-o, --out`. */
export const flagName = (name: string, { short }: Flag): string =>
  `${short === undefined ? '' : `-${short}, `}--${name}`;

/** The placeholder after a flag; undefined for a flag without a value. */
export function valueOf({ type, choices, value }: Flag): string | undefined {
  if (type === 'boolean') return undefined;
  return choices?.join('|') ?? value ?? (type === 'number' ? 'N' : 'VALUE');
}

const columns = (rows: readonly (readonly [string, string])[], screen: Screen): string[] =>
  columnRows(rows, screen).flat();

/** The lines of each row: the name and its text beside it. The text of a long name starts on the next line. */
function columnRows(rows: readonly (readonly [string, string])[], screen: Screen): string[][] {
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => {
    const name = `  ${screen.paint('bold', left)}`;
    return left.length > width
      ? [name, ...labelled('', width + 3, [right], screen.columns).filter((line) => line !== '')]
      : labelled(name, width + 3, [right], screen.columns);
  });
}

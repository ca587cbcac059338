import type { Command, CommandGroup, Flag } from '../command.js';
import type { Row } from '../registry.js';

/** The page of `qalign --help`. */
export function overviewHelp(version: string, registry: Readonly<Record<string, Row>>): string {
  const rows = Object.entries(registry).map(([name, row]) => [name, row.summary] as const);
  return [
    `qalign ${version}: visual quality and aesthetics scores from a large multimodal model`,
    '',
    'usage: qalign COMMAND [ARGUMENTS]',
    '',
    ...columns(rows),
    '',
    'example:',
    '  qalign score photos/ --task quality --format jsonl',
    '',
    '"qalign COMMAND --help" tells more about each. Exit codes: 0 done, 1 something failed, 2 wrong usage, 3 a score under --fail-below, 130 interrupted.',
    '',
  ].join('\n');
}

export function groupHelp(group: CommandGroup): string {
  return [
    `qalign ${group.name}: ${group.summary}`,
    '',
    ...columns(group.commands.map((command) => [command.name, command.summary])),
    '',
    'example:',
    `  ${group.commands[0]?.examples[0] ?? ''}`,
    '',
  ].join('\n');
}

export function commandHelp(command: Command): string {
  const help = { type: 'boolean', short: 'h', help: 'show this help' } satisfies Flag;
  return [
    `qalign ${command.name}: ${command.summary}`,
    '',
    `usage: qalign ${command.name}${command.args === undefined ? '' : ` ${command.args}`} [FLAGS]${command.overrides === true ? ' [key=value …]' : ''}`,
    ...(command.description === undefined ? [] : ['', command.description]),
    '',
    ...flagLines(Object.entries({ ...command.flags, help })),
    '',
    command.examples.length === 1 ? 'example:' : 'examples:',
    ...command.examples.map((example) => `  ${example}`),
    '',
  ].join('\n');
}

/** Under their headings, where they have some; the others follow. All are aligned alike. */
function flagLines(flags: readonly (readonly [string, Flag])[]): string[] {
  const rows = columnRows(flags.map(([name, flag]) => [flagUsage(name, flag), flag.help]));
  return flags.flatMap(([, { group }], index) => {
    if (group === flags[index - 1]?.[1].group) return rows[index]!;
    return [...(index === 0 ? [] : ['']), ...(group === undefined ? [] : [`${group}:`]), ...rows[index]!];
  });
}

function flagUsage(name: string, flag: Flag): string {
  const value =
    flag.type === 'boolean'
      ? ''
      : ` ${flag.choices?.join('|') ?? flag.value ?? (flag.type === 'number' ? 'N' : 'VALUE')}`;
  return `${flag.short === undefined ? '' : `-${flag.short}, `}--${name}${value}${flag.multiple ? ' …' : ''}`;
}

const columns = (rows: readonly (readonly [string, string])[]): string[] => columnRows(rows).flat();

/** The lines of each row. */
function columnRows(rows: readonly (readonly [string, string])[]): string[][] {
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) =>
    left.length > width ? [`  ${left}`, `  ${' '.repeat(width)}  ${right}`] : [`  ${left.padEnd(width)}  ${right}`],
  );
}

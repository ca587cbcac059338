// Commands parse the line with node:util and print results; src/recipes does the work.
// The parser is hand-written because it suggests near names and checks values.

import { parseArgs } from 'node:util';
import type { WaitingProcess } from '../../bridge/worker-process.js';
import { hint } from '../base/suggest.js';
import { QalignError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { COLOUR_CHOICES } from './terminal/colour.js';
import type { Terminal } from './terminal/terminal.js';

/** One `--flag`. `value` is the placeholder that help shows; `choices` are checked. */
export interface Flag {
  readonly type: 'string' | 'number' | 'boolean';
  readonly multiple?: true;
  readonly short?: string;
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly help: string;
  /** The heading under which help shows it. */
  readonly group?: string;
  /** For other programs of qalign: neither help nor the reference shows it. */
  readonly hidden?: true;
}
export type Flags = Readonly<Record<string, Flag>>;

/** Flags of every command. */
export const GENERAL_FLAGS = {
  color: {
    type: 'string',
    choices: COLOUR_CHOICES,
    help: 'when to colour the output; auto: on a terminal, unless NO_COLOR is set (default: auto)',
  },
  help: { type: 'boolean', short: 'h', help: 'show this help' },
} as const satisfies Record<string, Flag>;

/** Exit code of a command → meaning. */
export const EXIT_CODES: Readonly<Record<number, string>> = {
  0: 'success',
  1: 'failure',
  2: 'wrong usage',
  3: 'a score below --fail-below',
  130: 'interrupted',
};

/** Puts flags under one heading of the help. */
export function inGroup<const F extends Flags>(group: string, flags: F): F {
  return Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, { ...flag, group }])) as unknown as F;
}

type FlagValue<F extends Flag> = F['type'] extends 'boolean'
  ? boolean
  : F['type'] extends 'number'
    ? number | undefined
    : F extends { multiple: true }
      ? string[]
      : string | undefined;
export type FlagValues<F extends Flags> = { [K in keyof F]: FlagValue<F[K]> };

export interface CommandContext<F extends Flags = Flags> {
  /** Words of the line that are neither flags nor overrides. */
  readonly args: readonly string[];
  /** The whole line without absolute paths, for reports. */
  readonly line: string;
  /** The `key=value` words of a command with `overrides: true`, for `loadConfig`. */
  readonly overrides: readonly string[];
  readonly flags: FlagValues<F>;
  readonly terminal: Terminal;
  readonly log: Logger;
  /** Aborted by Ctrl-C, SIGTERM and a closed stdout. */
  readonly signal: AbortSignal;
  /** A worker process that was started before the command. The command can adopt it and does not end it. */
  readonly waiting?: WaitingProcess | undefined;
}

/**
 * A command. A file `src/cli/<verb>.ts` exports it, made with `defineCommand` (or `defineGroup` for `qalign <noun>
 * <verb>`), and `src/cli/registry.ts` has a row for it. `run` returns the exit code. A QalignError that it throws is
 * printed as one sentence; the exit code is then 2 (wrong usage), 130 (cancelled) or 1.
 */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Follows the name in the usage line, e.g. `INPUT…`. */
  readonly args?: string;
  readonly description?: string;
  /** Complete command lines without a prompt; at least one. */
  readonly examples: readonly string[];
  readonly overrides?: boolean;
  /** Ctrl-C and SIGTERM end the command normally, with its own exit code. */
  readonly endsBySignal?: boolean;
  /** A sentence printed after Ctrl-C: how to continue. */
  readonly interrupted?: string;
  readonly flags: Flags;
  /** Commands `qalign <verb> <word>`. Any other word is an argument of this command. */
  readonly subcommands?: readonly Command[];
  run(context: CommandContext): Promise<number>;
}

export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly Command[];
}

export function defineCommand<const F extends Flags>(
  command: Omit<Command, 'flags' | 'run'> & { flags: F; run(context: CommandContext<F>): Promise<number> },
): Command {
  return { ...command, run: (context) => command.run(context as unknown as CommandContext<F>) };
}

export function defineGroup(group: CommandGroup): CommandGroup {
  return group;
}

/**
 * Splits a command line into flags, arguments and overrides.
 * @throws QalignError USAGE; for an unknown flag, the message suggests the nearest name
 */
export function parseLine(
  command: Command,
  line: readonly string[],
): Pick<CommandContext, 'args' | 'overrides' | 'flags'> {
  const flags: Flags = { ...command.flags, ...GENERAL_FLAGS };
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [
      name,
      {
        type: flag.type === 'boolean' ? ('boolean' as const) : ('string' as const),
        multiple: flag.multiple ?? false,
        ...(flag.short === undefined ? {} : { short: flag.short }),
      },
    ]),
  );
  const { tokens } = parseArgs({ args: [...line], options, strict: false, allowPositionals: true, tokens: true });
  const values: Record<string, unknown> = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [
      name,
      flag.type === 'boolean' ? false : flag.multiple ? [] : undefined,
    ]),
  );
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined;
    if (flag === undefined)
      throw usage(
        command,
        `there is no flag ${token.rawName}${hint(
          token.rawName,
          Object.keys(flags).map((name) => `--${name}`),
        )}`,
      );
    // parseArgs takes any next word as the value: `--out --resume` lacks its value, `--out=--x` has it
    const eaten = token.value?.startsWith('--') === true && token.inlineValue === false;
    const value = readFlag(command, token.rawName, flag, eaten ? undefined : token.value);
    if (flag.multiple) (values[token.name] as unknown[]).push(value);
    else values[token.name] = value;
  }
  const isOverride = (word: string): boolean => command.overrides === true && /^[A-Za-z_][\w.]*=/.test(word);
  return {
    args: words.filter((word) => !isOverride(word)),
    overrides: words.filter(isOverride),
    flags: values as FlagValues<Flags>,
  };
}

function readFlag(command: Command, name: string, flag: Flag, value: string | undefined): string | number | boolean {
  if (flag.type === 'boolean') {
    if (value !== undefined) throw usage(command, `${name} takes no value, but was given "${value}"`);
    return true;
  }
  if (value === undefined || value === '') throw usage(command, `${name} needs a value (${flag.value ?? 'VALUE'})`);
  if (flag.choices !== undefined && !flag.choices.includes(value)) {
    throw usage(
      command,
      `${name} must be one of ${flag.choices.join(', ')}, not "${value}"${/did you/.test(hint(value, flag.choices)) ? hint(value, flag.choices) : ''}`,
    );
  }
  if (flag.type === 'string') return value;
  const number = Number(value);
  if (!Number.isFinite(number) || value.trim() === '') throw usage(command, `${name} needs a number, not "${value}"`);
  return number;
}

function usage(command: Command, problem: string): QalignError {
  return new QalignError('USAGE', `qalign ${command.name}: ${problem}; see "qalign ${command.name} --help".`);
}

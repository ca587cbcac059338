import type { WaitingProcess } from '../../bridge/worker-process.js';
import { hint } from '../base/suggest.js';
import { QalignError, type ErrorCode } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { unwritablePlace } from '../base/files/unwritable.js';
import { packageVersion } from '../base/package-root.js';
import { shownCommand } from '../report/shown-path.js';
import { parseLine, type Command, type CommandGroup, type FlagValues, type GENERAL_FLAGS } from './command.js';
import type { ColourChoice, Paint } from './terminal/colour.js';
import { commandHelp, groupHelp, overviewHelp } from './terminal/help.js';
import { REGISTRY } from './registry.js';
import type { Terminal } from './terminal/terminal.js';

export interface RunContext {
  readonly terminal: Terminal;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** A worker process that a command can adopt. The caller ends it. */
  readonly waiting?: WaitingProcess | undefined;
}

/** Errors of the command line or a configuration, independent of the machine and its files. They exit with code 2. */
const WRONG_USAGE: readonly ErrorCode[] = ['USAGE', 'TASK_UNSUPPORTED', 'CONFIG_INVALID', 'CONFIG_NOT_FOUND'];

/** Runs argv (without node and script) and returns the exit code. Reports errors; does not throw or end the process. */
export async function runCli(argv: readonly string[], context: RunContext): Promise<number> {
  try {
    return await dispatch(argv, context);
  } catch (error) {
    return report(error, context);
  }
}

/** Prints the error that a command threw and returns the exit code. */
export function report(error: unknown, { terminal, signal }: RunContext): number {
  terminal.progress(undefined);
  if (signal.aborted) return 130;
  terminal.say(describe(error, terminal.paintErr));
  return error instanceof QalignError ? exitCodeOf(error.code) : 1;
}

/** The exit code of a command that threw this. */
export const exitCodeOf = (code: ErrorCode): number => (WRONG_USAGE.includes(code) ? 2 : 1);

async function dispatch(argv: readonly string[], context: RunContext): Promise<number> {
  const [verb, ...rest] = argv;
  if (verb === undefined || verb === '--help' || verb === '-h' || verb === 'help') {
    return print(context, overviewHelp(packageVersion, REGISTRY, context.terminal), verb === undefined ? 2 : 0);
  }
  if (verb === '--version' || verb === '-v') return print(context, `${packageVersion}\n`);
  const row = Object.hasOwn(REGISTRY, verb) ? REGISTRY[verb] : undefined;
  if (row === undefined)
    throw new QalignError(
      'USAGE',
      `qalign: there is no command "${verb}"${hint(verb, Object.keys(REGISTRY))}; see "qalign --help".`,
    );
  const found = await row.load();
  if ('commands' in found) return runGroup(found, rest, context);
  const own = found.subcommands?.find(({ name }) => name === `${verb} ${rest[0]}`);
  return own === undefined ? runCommand(found, rest, context) : runCommand(own, rest.slice(1), context);
}

async function runGroup(group: CommandGroup, [verb, ...rest]: readonly string[], context: RunContext): Promise<number> {
  if (verb === undefined || verb === '--help' || verb === '-h')
    return print(context, groupHelp(group, context.terminal), verb === undefined ? 2 : 0);
  const names = group.commands.map((command) => command.name.split(' ').at(-1) ?? command.name);
  const command = group.commands[names.indexOf(verb)];
  if (command === undefined)
    throw new QalignError(
      'USAGE',
      `qalign ${group.name}: there is no subcommand "${verb}"${hint(verb, names)}; see "qalign ${group.name} --help".`,
    );
  return runCommand(command, rest, context);
}

async function runCommand(command: Command, line: readonly string[], context: RunContext): Promise<number> {
  const { terminal, signal } = context;
  const parsed = parseLine(command, line);
  const { help, color } = parsed.flags as FlagValues<typeof GENERAL_FLAGS>;
  if (color !== undefined) terminal.useColour(color as ColourChoice);
  if (help) return print(context, commandHelp(command, terminal));
  try {
    const code = await command.run({
      ...context,
      ...parsed,
      line: `qalign ${command.name} ${shownCommand(line)}`.trim(),
    });
    return signal.aborted && command.endsBySignal !== true ? 130 : code;
  } finally {
    terminal.progress(undefined);
    if (signal.aborted && command.interrupted !== undefined) terminal.say(`qalign: ${command.interrupted}`);
  }
}

async function print(context: RunContext, text: string, code = 0): Promise<number> {
  await context.terminal.out(text);
  return code;
}

/** A known error as one sentence. Any other error is a bug and is shown with its stack. */
function describe(error: unknown, paint: Paint): string {
  const word = paint('red', 'error');
  if (error instanceof QalignError) {
    const [, who = 'qalign', message = ''] = /^(?:(qalign(?: [a-z]+){0,2}): )?([^]*)$/.exec(error.message) ?? [];
    return `${who}: ${word}: ${message} [${error.code}]`;
  }
  const unwritable = unwritablePlace(error);
  if (unwritable !== undefined) return describe(unwritable, paint);
  return `qalign: ${word}: this is a bug, please report it.\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

import { existsSync, statSync } from 'node:fs';
import { QalignError } from '../../base/errors.js';
import { isGlob } from '../../media/find/glob-pattern.js';

/** The inputs that `action.yml` passes as environment variables. It never inserts them into a script. */
export interface ActionInputs {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly model: string;
  readonly tasks: readonly string[];
  readonly failBelow: number | undefined;
  readonly changedOnly: boolean;
  /** A revision to compare with, instead of the revision in the event. */
  readonly base: string | undefined;
}

/** @throws QalignError USAGE */
export function readInputs(env: NodeJS.ProcessEnv): ActionInputs {
  const value = (name: string): string => env[`INPUT_${name}`]?.trim() ?? '';
  const patterns = lines(value('PATHS'));
  return {
    include: patterns.filter((pattern) => !pattern.startsWith('!')).map(asPattern),
    exclude: patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => asPattern(pattern.slice(1))),
    model: value('MODEL') || 'nano',
    tasks: value('TASK')
      .split(/[\s,]+/)
      .filter((task) => task !== ''),
    failBelow: numberOf('fail-below', value('FAIL_BELOW')),
    changedOnly: booleanOf('changed-only', value('CHANGED_ONLY') || 'true'),
    base: value('BASE') || undefined,
  };
}

const lines = (text: string): string[] =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** A folder, with or without a slash at its end, selects everything below it. */
function asPattern(pattern: string): string {
  const plain = pattern.replace(/^\.\/+(?=.)/, '');
  if (plain === '.' || plain === './') return '**';
  const isFolder = !plain.endsWith('/') && !isGlob(plain) && existsSync(plain) && statSync(plain).isDirectory();
  return isFolder ? `${plain}/` : plain;
}

function numberOf(name: string, text: string): number | undefined {
  if (text === '') return undefined;
  const number = Number(text);
  if (Number.isFinite(number)) return number;
  throw new QalignError('USAGE', `The input ${name} of the action must be a number, not "${text}".`);
}

function booleanOf(name: string, text: string): boolean {
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  throw new QalignError('USAGE', `The input ${name} of the action must be true or false, not "${text}".`);
}

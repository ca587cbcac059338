import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isFailure, type ScoreOutcome } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import type { MediaInput } from '../../media/media-input.js';

export interface Redactor {
  /** Copies a JSON value and removes the directories from all its strings. */
  readonly redact: <T>(value: T) => T;
  /** For `catch`: rejects with the same error, without the directories in its message. */
  readonly redactError: (error: unknown) => Promise<never>;
}

/** Recipes and their errors contain paths. Clients see them relative to the directories of the service. */
export function createRedactor(folders: readonly string[]): Redactor {
  // Longest first, because one directory can contain another.
  const known = [...new Set(folders.flatMap((folder) => [resolve(folder), real(resolve(folder))]))].sort(
    (a, b) => b.length - a.length,
  );
  const redactText = (text: string): string =>
    known.reduce((shown, folder) => shown.replaceAll(`${folder}/`, '').replaceAll(folder, '.'), text);
  return {
    redact: <T>(value: T) =>
      JSON.parse(JSON.stringify(value), (_key, one: unknown) => (typeof one === 'string' ? redactText(one) : one)) as T,
    redactError: async (error) => {
      if (!(error instanceof QalignError)) throw error;
      throw new QalignError(error.code, redactText(error.message), {
        cause: error,
        ...(error.details === undefined ? {} : { details: error.details }),
      });
    },
  };
}

/** Replaces the file path in an error of a decoder with the name that the client gave the item. */
export function withoutPath(outcome: ScoreOutcome, media: MediaInput | undefined): ScoreOutcome {
  if (!isFailure(outcome) || typeof media !== 'string') return outcome;
  return { ...outcome, error: { ...outcome.error, message: renamed(outcome.error.message, media, outcome.input) } };
}

/** Replaces the path of an item's file in an error with the name that the client gave the item. */
export function errorWithoutPath(error: unknown, media: MediaInput, input: string): unknown {
  if (!(error instanceof QalignError) || typeof media !== 'string') return error;
  return new QalignError(error.code, renamed(error.message, media, input), { cause: error });
}

/** Messages contain a path as is or quoted as JSON, and cut a name at a line break. */
function renamed(message: string, path: string, name: string): string {
  const folder = `${dirname(path)}/`;
  return message.replaceAll(JSON.stringify(path), JSON.stringify(name)).replaceAll(path, name).replaceAll(folder, '');
}

function real(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder; // The directory does not have to exist yet.
  }
}

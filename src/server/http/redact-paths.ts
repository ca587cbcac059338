import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isFailure, type ScoreOutcome } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import type { MediaInput } from '../../media/media-input.js';

export interface Redactor {
  /** A copy of a JSON value in which no text names one of the folders. */
  readonly redact: <T>(value: T) => T;
  /** A failed promise with the same error, whose message names none of the folders: for `catch`. */
  readonly redactError: (error: unknown) => Promise<never>;
}

/** Recipes and their errors name paths. A client sees them relative to the folders of the service. */
export function createRedactor(folders: readonly string[]): Redactor {
  // the longest first: a folder may lie in another
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

/** Messages of decoders name the file; the client knows it by the name of its item. */
export function withoutPath(outcome: ScoreOutcome, media: MediaInput | undefined): ScoreOutcome {
  if (!isFailure(outcome) || typeof media !== 'string') return outcome;
  return { ...outcome, error: { ...outcome.error, message: renamed(outcome.error.message, media, outcome.input) } };
}

/** The same for an error, of a file that an item is or was kept in. */
export function errorWithoutPath(error: unknown, media: MediaInput, input: string): unknown {
  if (!(error instanceof QalignError) || typeof media !== 'string') return error;
  return new QalignError(error.code, renamed(error.message, media, input), { cause: error });
}

/** A path stands in a message as it is or quoted as JSON; that of a name with a line break may be cut off there. */
function renamed(message: string, path: string, name: string): string {
  const folder = `${dirname(path)}/`;
  return message.replaceAll(JSON.stringify(path), JSON.stringify(name)).replaceAll(path, name).replaceAll(folder, '');
}

function real(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder; // not made yet
  }
}

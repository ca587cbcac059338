import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';

/**
 * Takes the folders of this machine out of what is shown: recipes and their errors name paths, and where the service
 * keeps them is nobody's business.
 */
export function createHider(folders: readonly string[]): {
  hide: (message: string) => string;
  hidden: (error: unknown) => Promise<never>;
  hideIn: <T>(value: T) => T;
} {
  const known = [...new Set(folders.flatMap((folder) => [resolve(folder), real(resolve(folder))]))].sort(
    (a, b) => b.length - a.length,
  );
  const hide = (text: string): string =>
    known.reduce((shown, folder) => shown.replaceAll(`${folder}/`, '').replaceAll(folder, '.'), text);
  return {
    hide,
    hidden: async (error) => {
      if (!(error instanceof QalignError)) throw error;
      throw new QalignError(error.code, hide(error.message), {
        cause: error,
        ...(error.details === undefined ? {} : { details: error.details }),
      });
    },
    hideIn: <T>(value: T) =>
      JSON.parse(JSON.stringify(value), (_key, one: unknown) => (typeof one === 'string' ? hide(one) : one)) as T,
  };
}

function real(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder; // not made yet
  }
}

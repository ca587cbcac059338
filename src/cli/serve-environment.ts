import { readFile } from 'node:fs/promises';
import { QalignError } from '../base/errors.js';
import { reasonOf } from '../base/files/reason.js';

const PREFIX = 'QALIGN_SERVE_';

/**
 * Keys of the configuration from the environment, as containers set them: `QALIGN_SERVE_PORT=9000` is `port=9000`,
 * `QALIGN_SERVE_LIMITS__ITEMS=8` is `limits.items=8`. Empty variables are left out.
 */
export function environmentOverrides(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env)
    .filter(([name, value]) => name.startsWith(PREFIX) && value !== undefined && value !== '')
    .map(([name, value]) => `${name.slice(PREFIX.length).toLowerCase().replaceAll('__', '.')}=${value ?? ''}`)
    .sort();
}

/** `data_dir` where no configuration names it. */
export const defaultDataDir = (env: NodeJS.ProcessEnv = process.env): string =>
  env[`${PREFIX}DATA_DIR`] || 'runs/service';

const SHORTEST_KEY = 16;

/**
 * The key of QALIGN_API_KEY, or of the file that QALIGN_API_KEY_FILE names: for services whose secrets come from
 * outside.
 *
 * @throws QalignError CONFIG_INVALID
 */
export async function environmentKey(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const file = env['QALIGN_API_KEY_FILE'] || undefined;
  const key = env['QALIGN_API_KEY'] || (file === undefined ? undefined : await keyIn(file));
  if (key === undefined) return undefined;
  const place = env['QALIGN_API_KEY'] ? 'QALIGN_API_KEY' : `The file ${file} of QALIGN_API_KEY_FILE`;
  if (key.length < SHORTEST_KEY || !/^[\x21-\x7e]+$/.test(key))
    throw new QalignError(
      'CONFIG_INVALID',
      `${place} must hold a key of ${SHORTEST_KEY} or more printable ASCII characters without spaces; "openssl rand -hex 32" makes one.`,
    );
  return key;
}

async function keyIn(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new QalignError(
      'CONFIG_INVALID',
      `The file ${file} of QALIGN_API_KEY_FILE cannot be read: ${reasonOf(cause)}.`,
      { cause },
    );
  }
}

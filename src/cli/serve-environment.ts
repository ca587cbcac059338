import { readFile } from 'node:fs/promises';
import { QalignError } from '../base/errors.js';
import { reasonOf } from '../base/files/reason.js';
import { parseConfig } from '../config/load.js';
import { ServeConfig } from '../config/serve.js';

const PREFIX = 'QALIGN_SERVE_';

/**
 * Configuration keys from environment variables, for containers: `QALIGN_SERVE_PORT=9000` is `port=9000`,
 * `QALIGN_SERVE_LIMITS__ITEMS=8` is `limits.items=8`. Empty variables are ignored.
 *
 * @throws QalignError CONFIG_INVALID; lists every variable with an unknown key or an invalid value
 */
export function environmentOverrides(env: NodeJS.ProcessEnv): string[] {
  const variables = Object.entries(env)
    .filter(([name, value]) => name.startsWith(PREFIX) && value !== undefined && value !== '')
    .map(([name, value = '']) => ({ name, value, change: `${keyOf(name)}=${value}` }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const problems = variables.flatMap((variable) => problemOf(variable) ?? []);
  if (problems.length > 0) throw new QalignError('CONFIG_INVALID', problems.join('\n'));
  return variables.map(({ change }) => change);
}

const keyOf = (name: string): string => name.slice(PREFIX.length).toLowerCase().replaceAll('__', '.');

function problemOf({ name, value, change }: Readonly<Record<'name' | 'value' | 'change', string>>): string | undefined {
  try {
    parseConfig(ServeConfig, '', `The variable ${name}`, [change]);
    return undefined;
  } catch (error) {
    if (!(error instanceof QalignError)) throw error;
    if (/^(tcp|udp):\/\//.test(value))
      return `Kubernetes sets the variable ${name} for a Service named qalign-serve; set enableServiceLinks: false, or rename the Service.`;
    return error.code === 'USAGE' ? `The variable ${name} cannot be read: ${error.message}` : error.message;
  }
}

/** The default of `data_dir`. */
export const defaultDataDir = (env: NodeJS.ProcessEnv = process.env): string =>
  env[`${PREFIX}DATA_DIR`] || 'runs/service';

const SHORTEST_KEY = 16;

/**
 * The API key in QALIGN_API_KEY, or in the file that QALIGN_API_KEY_FILE names, for deployments that inject secrets.
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
      `${place} must contain a key of at least ${SHORTEST_KEY} printable ASCII characters without spaces; create one with "openssl rand -hex 32".`,
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

import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { QalignError } from '../../../base/errors.js';
import { reasonOf } from '../../../base/files/reason.js';

/** Where the Jobs API of a Ray cluster answers, and with which token. */
export interface RayHead {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string | undefined;
}

export interface RayHeadOptions {
  /** Such as `http://127.0.0.1:8265`. */
  readonly url: string;
  /**
   * A file with the token. Without it, RAY_AUTH_TOKEN is the token, or RAY_AUTH_TOKEN_PATH names the file.
   * @default none
   */
  readonly tokenFile?: string | undefined;
}

/**
 * Reads the address of a head. Any client of the Jobs API can run any program, so only a head on this
 * machine is used without a token.
 * @throws QalignError USAGE for an address that is no http URL, an unreadable or empty token, and a missing one
 */
export async function readRayHead(options: RayHeadOptions, env: NodeJS.ProcessEnv = process.env): Promise<RayHead> {
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.username + url.password !== '')
    throw usage(
      `--ray needs the address of the dashboard of a head, such as http://127.0.0.1:8265, not ${options.url}`,
    );
  const token = await readToken(options.tokenFile, env);
  if (token === undefined && !isLoopback(url.hostname))
    throw usage(
      `--ray ${url.origin} needs a token, because anybody could run programs on a cluster without one. Start Ray with RAY_AUTH_MODE=token and set RAY_AUTH_TOKEN or --ray-token-file, or forward the port to 127.0.0.1`,
    );
  return { url: `${url.origin}${url.pathname}`.replace(/\/+$/, ''), token };
}

async function readToken(file: string | undefined, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const given = env['RAY_AUTH_TOKEN']?.trim() ?? '';
  if (file === undefined && given !== '') return requireToken(given, 'RAY_AUTH_TOKEN');
  const path = file ?? env['RAY_AUTH_TOKEN_PATH'] ?? '';
  if (path === '') return undefined;
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw usage(`the token file ${path} cannot be read (${reasonOf(error)})`);
  });
  return requireToken(text.trim(), path);
}

/** A header holds visible ASCII only. */
function requireToken(token: string, place: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw usage(`${place} holds no token: one word of ASCII characters is needed`);
}

function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '');
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

const usage = (problem: string): QalignError => new QalignError('USAGE', `qalign score: ${problem}.`);

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadKeys, type WorkerKeys } from '../../../bridge/keys.js';
import { makeKeyPair } from '../../../bridge/transport.js';
import { problemWith } from '../../../bridge/validate.js';
import { QalignError } from '../../base/errors.js';
import { guardWrite } from '../../base/files/unwritable.js';

export interface KeyFiles {
  /** Key file of the engine, for `--bridge-keys`. */
  readonly head: string;
  /** One key file per worker. Copy it to the worker's host and pass it as `--keys`. */
  readonly workers: readonly string[];
}

/**
 * Writes `head.json` and one `worker-N.json` per worker, readable only by their owner. Never overwrites a file.
 * @throws QalignError OUTPUT_UNWRITABLE
 */
export async function writeBridgeKeys(folder: string, workers: number): Promise<KeyFiles> {
  const head = makeKeyPair();
  const pairs = Array.from({ length: workers }, makeKeyPair);
  const files = pairs.map((pair, i): [string, WorkerKeys] => [
    join(folder, `worker-${i + 1}.json`),
    { ...pair, server_key: head.public_key },
  ]);
  const own: HeadKeys = { ...head, allowed_keys: pairs.map(({ public_key }) => public_key) };
  const write = async (): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const [path, keys] of [[join(folder, 'head.json'), own] as const, ...files])
      await writeFile(path, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  };
  await guardWrite(write, ({ code }) => `The keys cannot be written to ${folder} (${code}); name a new folder.`);
  return { head: join(folder, 'head.json'), workers: files.map(([path]) => path) };
}

/** @throws QalignError CONFIG_NOT_FOUND, CONFIG_INVALID */
export async function readBridgeKeys(path: string): Promise<HeadKeys> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new QalignError(
      'CONFIG_NOT_FOUND',
      `The bridge keys cannot be read from ${path} (${error.code}); create them with "qalign workers keys".`,
      { cause: error },
    );
  });
  let keys: unknown;
  try {
    keys = JSON.parse(text);
  } catch {
    keys = undefined;
  }
  // the message omits the value: it is a secret
  if (problemWith(HeadKeys, keys) !== undefined)
    throw new QalignError('CONFIG_INVALID', `${path} is not a head.json file; create one with "qalign workers keys".`);
  return keys as HeadKeys;
}

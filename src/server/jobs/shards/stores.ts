import { read } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { QalignError } from '../../../base/errors.js';
import { reasonOf } from '../../../base/files/reason.js';
import type { ServeConfig } from '../../../config/serve.js';
import { below, isS3 } from '../../../recipes/shards/names.js';
import { createLocalStore } from '../../../recipes/shards/store/local.js';
import { createStores } from '../../../recipes/shards/store/open-stores.js';
import type { Store, Stores } from '../../../recipes/shards/store/store.js';
import { fileRules, holdOutputInRoot, openInRoot, resolveInRoot, type FileRules } from '../../http/path-root.js';

const CHUNK = 1 << 20;
const readInto = promisify(read);

/**
 * The stores of a job over shards. A name is a path below the root of the service, or an address below one of
 * `jobs.object_storage`. Any other name is refused with PATH_FORBIDDEN, also one that a list or a row contains.
 */
export function createJobStores(config: ServeConfig, signal: AbortSignal): Stores {
  const root = createRootStore(fileRules(config), signal);
  const stores = createStores({ signal });
  return {
    guardsMedia: true,
    async of(name) {
      if (!isS3(name)) return root;
      requireListed(config, name);
      return stores.of(name);
    },
    close: () => stores.close(),
  };
}

/** Checks the output folder of a job before it is accepted. @throws QalignError PATH_FORBIDDEN, OUTPUT_UNWRITABLE */
export async function requireOutput(config: ServeConfig, out: string): Promise<void> {
  if (isS3(out)) requireListed(config, below(out, ''));
  else await (await holdFolders(fileRules(config), out)).close();
}

function requireListed({ jobs }: ServeConfig, name: string): void {
  const isListed = jobs.object_storage.some((place) => name.startsWith(place));
  if (isListed && !name.split('/').includes('..')) return;
  throw new QalignError(
    'PATH_FORBIDDEN',
    `${JSON.stringify(name.slice(0, 200))} is not below an address of jobs.object_storage; name files below the root, or add the address to the configuration.`,
  );
}

/** Files below the root. Each access is checked with the opened descriptor, so that no link leads out. */
function createRootStore(rules: FileRules, signal: AbortSignal): Store {
  const local = createLocalStore(signal);
  /** The bytes [from, to) of a file, to its end if it is shorter. */
  async function* chunks(name: string, from: number, to: number): AsyncGenerator<Buffer, void, undefined> {
    const file = await openInRoot(rules, name);
    try {
      for (let at = from; at < to;) {
        signal.throwIfAborted();
        const chunk = Buffer.allocUnsafe(Math.min(CHUNK, to - at));
        const { bytesRead } = await readInto(file.descriptor, chunk, 0, chunk.length, at);
        if (bytesRead === 0) return;
        at += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof QalignError) throw error;
      throw new QalignError('SHARD_DAMAGED', `${name} cannot be read (${reasonOf(error)}).`, { cause: error });
    } finally {
      await file.close();
    }
  }
  return {
    async stat(name) {
      const file = await openInRoot(rules, name).catch((error: unknown) => {
        if (error instanceof QalignError && error.code === 'MEDIA_NOT_FOUND') return undefined;
        throw error;
      });
      await file?.close();
      return file === undefined ? undefined : { bytes: Number(file.found.size) };
    },
    async read(name, from, to) {
      const parts: Buffer[] = [];
      for await (const chunk of chunks(name, from, to)) parts.push(chunk);
      const bytes = Buffer.concat(parts);
      if (bytes.length === Math.max(0, to - from)) return bytes;
      throw new QalignError('SHARD_DAMAGED', `${name} was truncated while it was read.`);
    },
    stream: (name) => chunks(name, 0, Infinity),
    list: (pattern) => filesBelow(rules, pattern, local),
    draft: (name) => openDraftBelow(rules, name, local),
    async replace(name, text) {
      const folder = await holdFolders(rules, dirname(name));
      try {
        const file = await holdOutputInRoot(rules, name, 'file');
        await local.replace(file.path, text).catch(renamed(file.path, name)).finally(file.close);
      } finally {
        await folder.close();
      }
    },
  };
}

/** Files that match a pattern below the root. Links that lead out of it match nothing. */
async function* filesBelow(rules: FileRules, pattern: string, local: Store): AsyncGenerator<string, void, undefined> {
  if (rules.root === null || isAbsolute(pattern) || pattern.split(/[/\\]/).includes('..')) {
    await resolveInRoot(rules, pattern); // refuses it
    return;
  }
  const top = await realpath(rules.root);
  const escaped = top.replace(/[\\*?[\](){}!+@|]/g, '\\$&');
  for await (const found of local.list(join(escaped, pattern))) {
    const name = relative(top, found);
    const real = await resolveInRoot(rules, name).catch((error: unknown) => {
      if (error instanceof QalignError) return undefined;
      throw error;
    });
    if (real !== undefined) yield name;
  }
}

async function openDraftBelow(rules: FileRules, name: string, local: Store): ReturnType<Store['draft']> {
  const folder = await holdFolders(rules, dirname(name));
  const path = join(folder.path, basename(name));
  try {
    const draft = await local.draft(path).catch(renamed(path, name));
    return {
      file: draft.file,
      commit: async () => draft.commit().catch(renamed(path, name)).finally(folder.close),
      discard: async () => draft.discard().finally(folder.close),
    };
  } catch (error) {
    await folder.close();
    throw error;
  }
}

/** Creates and opens a folder below the root and the folders around it. `path` leads through the open folder. */
async function holdFolders(
  rules: FileRules,
  folder: string,
): Promise<{ readonly path: string; readonly close: () => Promise<void> }> {
  const held: Awaited<ReturnType<typeof holdOutputInRoot>>[] = [];
  const close = async (): Promise<void> => {
    for (const one of held.splice(0).reverse()) await one.close();
  };
  const steps = folder.split('/').flatMap((part, at, all) => {
    if ((part === '' && at > 0) || part === '.') return [];
    return [all.slice(0, at + 1).join('/')];
  });
  try {
    // an absolute path is refused as a whole
    for (const step of isAbsolute(folder) || steps.length === 0 ? [folder] : steps)
      held.push(await holdOutputInRoot(rules, step, 'folder'));
    return { path: (held.at(-1) as (typeof held)[number]).path, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Shows the name that the client knows, and not the path on this machine. */
const renamed =
  (path: string, name: string) =>
  (error: unknown): never => {
    if (!(error instanceof QalignError)) throw error;
    throw new QalignError(error.code, error.message.replaceAll(path, name).replaceAll(dirname(path), dirname(name)), {
      cause: error,
    });
  };

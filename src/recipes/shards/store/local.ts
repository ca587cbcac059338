import { createReadStream } from 'node:fs';
import { link, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { QalignError } from '../../../base/errors.js';
import { draftOf, removeLeftovers, syncFolder } from '../../../base/files/draft.js';
import { reasonOf } from '../../../base/files/reason.js';
import { guardWrite, makeFolder } from '../../../base/files/unwritable.js';
import { writeWhole } from '../../../base/files/whole-file.js';
import { filesMatching } from '../../../media/find/glob.js';
import type { Store, StoreDraft } from './store.js';

/** Errors of file systems without hard links. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

/** Files of this machine. */
export function createLocalStore(signal?: AbortSignal): Store {
  return {
    async stat(path) {
      const found = await stat(path).catch((error: unknown) => {
        if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
        throw unreadable(path, error);
      });
      if (found === undefined) return undefined;
      if (!found.isFile()) throw new QalignError('SHARD_DAMAGED', `${path} is not a regular file.`);
      return { bytes: found.size };
    },
    read: (path, from, to) => readRange(path, from, to),
    async *stream(path) {
      const stream = createReadStream(path, { highWaterMark: 1 << 20, ...(signal === undefined ? {} : { signal }) });
      try {
        yield* stream as AsyncIterable<Buffer>;
      } catch (error) {
        signal?.throwIfAborted();
        throw unreadable(path, error);
      } finally {
        stream.destroy();
      }
    },
    list: (pattern) => filesMatching(pattern, signal),
    draft: openLocalDraft,
    replace: (path, text) => writeWhole(path, text),
  };
}

async function readRange(path: string, from: number, to: number): Promise<Buffer> {
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const bytes = Buffer.alloc(Math.max(0, to - from));
    for (let at = 0; at < bytes.length;) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, from + at);
      if (bytesRead === 0) throw new QalignError('SHARD_DAMAGED', `${path} was truncated while it was read.`);
      at += bytesRead;
    }
    return bytes;
  } catch (error) {
    throw error instanceof QalignError ? error : unreadable(path, error);
  } finally {
    await file.close();
  }
}

/** Opens a draft beside the file `path`. A file of this name that appears in the meantime is not replaced. */
async function openLocalDraft(path: string): Promise<StoreDraft> {
  const guard = <T>(work: () => Promise<T>): Promise<T> =>
    guardWrite(
      work,
      (error) => `${path} cannot be written (${reasonOf(error)}); free disk space, or use another --out.`,
    );
  await makeFolder(dirname(path), 'use another --out');
  const draft = draftOf(path);
  const file = await guard(async () => {
    await removeLeftovers(path);
    return open(draft.path, 'wx');
  });
  const discard = async (): Promise<void> => {
    await file.close().catch(() => undefined);
    await draft.discard();
  };
  return {
    file,
    commit: () =>
      guard(async () => {
        await file.sync();
        await file.close();
        const isNew = await placeNew(draft.path, path);
        await draft.discard();
        if (isNew) await syncFolder(dirname(path));
        return isNew ? 'written' : 'exists';
      }),
    discard,
  };
}

/** Gives the finished draft its name, unless a file has this name. A hard link decides in one step who was first. */
async function placeNew(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (!NO_LINKS.includes(code)) throw error;
  }
  if ((await stat(path).catch(() => undefined)) !== undefined) return false;
  await rename(draft, path);
  return true;
}

function unreadable(path: string, error: unknown): QalignError {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT'
    ? new QalignError('SHARD_NOT_FOUND', `${path} does not exist.`, { cause: error })
    : new QalignError('SHARD_DAMAGED', `${path} cannot be read (${reasonOf(error)}).`, { cause: error });
}

import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withFileLock } from './file-lock.js';
import { QalignError } from '../errors.js';
import { reasonOf } from './reason.js';

export interface ExclusiveFileOptions {
  /** What is written there, as the errors name it. */
  readonly place: string;
  readonly makeFolder?: boolean;
  /** Called about three times a second while another process is at it. */
  readonly onWait: (pid: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` while no other process works behind the same lock file: others wait, and then find what is done already.
 * @throws QalignError CANCELLED, OUTPUT_UNWRITABLE where the lock cannot be made, and what the work throws
 */
export async function withExclusiveFile<T>(
  lock: string,
  work: () => Promise<T>,
  { place, makeFolder = false, onWait, signal }: ExclusiveFileOptions,
): Promise<T> {
  let begun = false;
  try {
    if (makeFolder) await mkdir(dirname(lock), { recursive: true });
    return await withFileLock(lock, () => ((begun = true), work()), {
      onWait,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (cause) {
    if (begun) throw cause;
    if (signal?.aborted === true)
      throw new QalignError('CANCELLED', 'Cancelled while another process was at it.', { cause });
    throw new QalignError(
      'OUTPUT_UNWRITABLE',
      `${place} cannot be written (${reasonOf(cause)}); name another with --out.`,
      { cause },
    );
  }
}

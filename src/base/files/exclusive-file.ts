import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withFileLock } from './file-lock.js';
import { QalignError } from '../errors.js';
import { reasonOf } from './reason.js';

export interface ExclusiveFileOptions {
  /** Name of the output in error messages. */
  readonly place: string;
  readonly makeFolder?: boolean;
  /** Called about three times a second while another process holds the lock. */
  readonly onWait: (pid: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` while no other process holds the same lock file. Other processes wait and then find the finished result.
 * @throws QalignError CANCELLED, OUTPUT_UNWRITABLE if the lock cannot be created, and any error of `work`
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
      throw new QalignError('CANCELLED', 'Cancelled while waiting for another process that writes the same output.', {
        cause,
      });
    throw new QalignError(
      'OUTPUT_UNWRITABLE',
      `${place} cannot be written (${reasonOf(cause)}); choose another path with --out.`,
      { cause },
    );
  }
}

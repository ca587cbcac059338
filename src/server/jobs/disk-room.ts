import { setTimeout as sleep } from 'node:timers/promises';
import { QalignError } from '../../base/errors.js';

/** Pause between attempts to write to a full disk. */
const RETRY_MS = 2_000;

export interface WaitForRoom {
  /** Called before each pause with the message of the failed attempt. */
  readonly onWait: (reason: string) => void;
  /** Aborting it ends a pause with an AbortError. */
  readonly signal: AbortSignal;
  readonly pause?: (ms: number, value: undefined, options: { signal: AbortSignal }) => Promise<unknown>;
}

/**
 * Repeats `write` until the disk has space. The data stays in memory until then. @throws the errors of `write`, except
 * OUTPUT_UNWRITABLE
 */
export async function untilWritten<T>(
  write: () => Promise<T>,
  { onWait, signal, pause = sleep }: WaitForRoom,
): Promise<T> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof QalignError) || error.code !== 'OUTPUT_UNWRITABLE') throw error;
      onWait(error.message);
      await pause(RETRY_MS, undefined, { signal });
    }
  }
}

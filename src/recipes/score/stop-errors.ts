import { QalignError } from '../../base/errors.js';

/** After these no later input can succeed either. */
const FATAL: readonly string[] = [
  'BRIDGE_CLOSED',
  'WORKER_START_FAILED',
  'PROTOCOL_MISMATCH',
  'PYTHON_NOT_FOUND',
  'PYTHON_SETUP_FAILED',
];

/** Whether an error is that of one input, which becomes its outcome; any other stops all of them. */
export function isOfOneInput(error: unknown): error is QalignError {
  return error instanceof QalignError && !FATAL.includes(error.code);
}

export const scorerClosed = (cause?: unknown): QalignError =>
  new QalignError('BRIDGE_CLOSED', 'The scorer is closed; make another.', { cause });

/** What to throw for `error`: CANCELLED once the caller has aborted, whatever failed because of it. */
export function orCancelled(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted !== true || (error instanceof QalignError && error.code === 'CANCELLED')) return error;
  return new QalignError('CANCELLED', 'Scoring was cancelled.', { cause: error });
}

import { QalignError } from '../../base/errors.js';

/** After one of these errors no later input can succeed. */
const FATAL: readonly string[] = [
  'BRIDGE_CLOSED',
  'WORKER_START_FAILED',
  'PROTOCOL_MISMATCH',
  'PYTHON_NOT_FOUND',
  'PYTHON_SETUP_FAILED',
];

/** Whether an error affects one input, so that it becomes its outcome. Any other error stops all inputs. */
export function isOfOneInput(error: unknown): error is QalignError {
  return error instanceof QalignError && !FATAL.includes(error.code);
}

export const scorerClosed = (cause?: unknown): QalignError =>
  new QalignError('BRIDGE_CLOSED', 'The scorer is closed; create a new one.', { cause });

/** The error to throw: CANCELLED if the caller has aborted, otherwise `error`. */
export function orCancelled(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted !== true || (error instanceof QalignError && error.code === 'CANCELLED')) return error;
  return new QalignError('CANCELLED', 'Scoring was cancelled.', { cause: error });
}

import type { Static } from 'typebox';
import type { Hello } from './protocol/envelope.js';
import { QalignError } from './qalign-error.js';
import { envelopeName, problemWithMessage } from './validate.js';

/** Remote workers authenticate with their key, so their hello needs no secret token. */
export const REMOTE_TOKEN = 'remote';

type Greeting = Static<typeof Hello>;
export interface Newcomer {
  readonly peer: string;
  readonly hello: Greeting;
}

/** Remote workers that have connected and wait until a slot requests a worker. */
export interface WaitingWorkers {
  isHello(envelope: unknown): envelope is Greeting;
  /** Adds a connected worker. Any message except hello is left over from an earlier Node process and is ignored. */
  add(peer: string, envelope: unknown): void;
  /**
   * Returns the worker that has waited longest, or the next that connects. @throws QalignError WORKER_START_FAILED,
   * CANCELLED, BRIDGE_CLOSED
   */
  next(limitMs: number, signal?: AbortSignal): Promise<Newcomer>;
  /** Rejects all pending `next` calls with BRIDGE_CLOSED. */
  close(): void;
}

export function createWaitingWorkers(): WaitingWorkers {
  const present = new Map<string, Greeting>();
  const wanted = new Set<(found: Newcomer | QalignError) => void>();
  const isHello = (envelope: unknown): envelope is Greeting =>
    envelopeName(envelope) === 'hello' && problemWithMessage('hello', envelope) === undefined;

  function match(): void {
    for (const take of wanted) {
      const first = present.entries().next();
      if (first.done === true) return;
      const [peer, hello] = first.value;
      present.delete(peer);
      take({ peer, hello });
    }
  }
  return {
    isHello,
    add(peer, envelope) {
      if (!isHello(envelope)) return;
      present.set(peer, envelope);
      match();
    },
    next(limitMs, signal) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(
          () =>
            take(
              new QalignError(
                'WORKER_START_FAILED',
                `No worker connected within ${limitMs / 1000} s; start "python -m qalign.worker --connect ADDRESS --keys FILE" on the host of the worker.`,
              ),
            ),
          limitMs,
        );
        const onAbort = (): void => take(new QalignError('CANCELLED', 'Waiting for a worker was cancelled.'));
        const take = (found: Newcomer | QalignError): void => {
          wanted.delete(take);
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          if (found instanceof QalignError) reject(found);
          else resolve(found);
        };
        wanted.add(take);
        signal?.addEventListener('abort', onAbort);
        if (signal?.aborted === true) onAbort();
        match();
      });
    },
    close() {
      for (const take of wanted)
        take(new QalignError('BRIDGE_CLOSED', 'The bridge was closed while waiting for a worker.'));
    },
  };
}

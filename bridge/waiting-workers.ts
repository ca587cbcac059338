import type { Static } from 'typebox';
import type { Hello } from './protocol/envelope.js';
import { QalignError } from './qalign-error.js';
import { envelopeName, problemWithMessage } from './validate.js';

/** Workers of other hosts have shown who they are by their key: their hello needs no secret. */
export const REMOTE_TOKEN = 'remote';

type Greeting = Static<typeof Hello>;
export interface Newcomer {
  readonly peer: string;
  readonly hello: Greeting;
}

/** Workers that connected by themselves, each until somebody wants one. */
export interface WaitingWorkers {
  isHello(envelope: unknown): envelope is Greeting;
  /** A worker that is there now. Anything but a hello is what it had left to say to a Node that is gone. */
  add(peer: string, envelope: unknown): void;
  /**
   * The one that has waited longest, or the next that comes. @throws QalignError WORKER_START_FAILED, CANCELLED,
   * BRIDGE_CLOSED
   */
  next(limitMs: number, signal?: AbortSignal): Promise<Newcomer>;
  /** Refuses everybody who waits for a worker: BRIDGE_CLOSED. */
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
                `No worker connected within ${limitMs / 1000} s; start "python -m qalign.worker --connect ADDRESS --keys FILE" on its host.`,
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
        take(new QalignError('BRIDGE_CLOSED', 'The bridge was closed while it waited for a worker.'));
    },
  };
}

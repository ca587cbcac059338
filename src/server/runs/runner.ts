import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { mendEvents } from '../run-events.js';
import type { Work, WorkKind, WorkStore } from './store.js';

/**
 * How one kind of work is done. Resolves with how it ended; an aborted signal asks it to stop where it can go on later.
 */
export type WorkMethod = (
  work: Work,
  tools: {
    readonly folder: string;
    readonly signal: AbortSignal;
    readonly tell: (event: { readonly event: string }) => void;
    readonly began: (folder: string) => void;
  },
) => Promise<'completed' | 'stopped'>;

export interface WorkRunner {
  /** Its events and, of an evaluation, its predictions and reports. */
  folder(id: string): string;
  /** Takes up work that lies in the store; also again, to go on with it. */
  submit(work: Work): void;
  current(id: string): Work | undefined;
  isActive(id: string): boolean;
  /** Asks it to stop; what waits is stopped at once. */
  stop(id: string): void;
  /** Marks what an earlier process left as interrupted. */
  recover(): void;
  close(): Promise<void>;
}

interface Active {
  readonly work: Work;
  readonly stop: AbortController;
}

/** One training and one evaluation at a time; the others wait in order. */
export function createWorkRunner({
  root,
  store,
  methods,
  hide,
  log,
}: {
  root: string;
  store: WorkStore;
  methods: Readonly<Record<WorkKind, WorkMethod>>;
  hide: (message: string) => string;
  log: Logger;
}): WorkRunner {
  const active = new Map<string, Active>();
  const running = new Map<WorkKind, Promise<void>>();
  const waiting: Active[] = [];
  let closed = false;
  const folder = (id: string): string => join(root, id);

  const save = (work: Work): void => {
    try {
      store.save(work);
    } catch (error) {
      log.warn('the state of a training or evaluation was not saved', {
        work: work.id,
        reason: (error as Error).message,
      });
    }
  };
  const write = async (id: string, event: { readonly event: string }): Promise<void> =>
    mkdir(folder(id), { recursive: true })
      .then(() =>
        appendFile(
          join(folder(id), 'events.jsonl'),
          `${hide(JSON.stringify({ time: Date.now() / 1000, ...event }))}\n`,
        ),
      )
      .catch((error: Error) => log.warn('an event was not written', { work: id, reason: error.message }));

  /** Its status is settled before this gives way; only then is it told. */
  const end = async (work: Work, status: Work['status'], message?: string): Promise<void> => {
    Object.assign(work, { status, message, finishedAt: Date.now() / 1000 });
    save(work);
    log.info('work', { work: work.id, status, ...(message === undefined ? {} : { reason: message }) });
    await write(work.id, Object.assign({ event: 'end', status }, message === undefined ? {} : { message }));
  };

  async function perform({ work, stop }: Active): Promise<void> {
    let last = Promise.resolve();
    try {
      await mkdir(folder(work.id), { recursive: true });
      await mendEvents(join(folder(work.id), 'events.jsonl')).catch(() => {});
      Object.assign(work, { status: 'running' });
      save(work);
      const how = await methods[work.kind](work, {
        folder: folder(work.id),
        signal: stop.signal,
        tell: (event) => void (last = last.then(() => write(work.id, event))),
        began(place) {
          work.folder = place;
          save(work);
        },
      });
      await last;
      await end(work, closed && how === 'stopped' ? 'interrupted' : how);
    } catch (error) {
      await last;
      if (stop.signal.aborted) return end(work, closed ? 'interrupted' : 'stopped');
      log.error('a training or evaluation failed', {
        work: work.id,
        reason: (error as Error).message,
        stack: (error as Error).stack,
      });
      await end(
        work,
        'failed',
        error instanceof QalignError
          ? hide(error.message)
          : 'It failed in a way the service did not expect; its log has more.',
      );
    }
  }

  const startNext = (): void => {
    const at = closed ? -1 : waiting.findIndex(({ work }) => !running.has(work.kind));
    const [next] = at < 0 ? [] : waiting.splice(at, 1);
    if (next === undefined) return;
    const { kind, id } = next.work;
    running.set(
      kind,
      perform(next).finally(() => {
        running.delete(kind);
        active.delete(id);
        startNext();
      }),
    );
    startNext();
  };

  return {
    folder,
    submit(work) {
      const entry: Active = { work, stop: new AbortController() };
      active.set(work.id, entry);
      waiting.push(entry);
      startNext();
    },
    current: (id) => active.get(id)?.work ?? store.get(id),
    isActive: (id) => active.has(id),
    stop(id) {
      const entry = active.get(id);
      if (entry === undefined) return;
      entry.stop.abort(new QalignError('CANCELLED', 'It was stopped.'));
      const at = waiting.indexOf(entry);
      if (at < 0) return;
      waiting.splice(at, 1);
      active.delete(id);
      void end(entry.work, 'stopped');
    },
    recover() {
      for (const work of store.unfinished())
        void end(work, 'interrupted', 'The service ended meanwhile; resume goes on.');
    },
    async close() {
      closed = true;
      for (const { stop } of active.values()) stop.abort(new QalignError('SHUTTING_DOWN', 'The service is ending.'));
      for (const { work } of waiting.splice(0)) {
        active.delete(work.id);
        await end(work, 'interrupted', 'The service ended before it began; resume starts it.').catch(() => {});
      }
      await Promise.allSettled(running.values());
    },
  };
}

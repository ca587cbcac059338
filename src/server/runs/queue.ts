import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { mendEvents } from '../run-events.js';
import type { ServiceRun, RunKind, ServiceRunStore } from './store.js';

/**
 * How one kind of run is performed. Resolves with how it ended. An aborted signal asks it to stop where it can be
 * resumed.
 */
export type RunMethod = (
  run: ServiceRun,
  tools: {
    readonly folder: string;
    readonly signal: AbortSignal;
    readonly tell: (event: { readonly event: string }) => void;
    readonly began: (folder: string) => void;
  },
) => Promise<'completed' | 'stopped'>;

export interface RunQueue {
  /** Its events and, of an evaluation, its predictions and reports. */
  folder(id: string): string;
  /** Takes up a run that lies in the store; also again, to go on with it. */
  submit(run: ServiceRun): void;
  current(id: string): ServiceRun | undefined;
  isActive(id: string): boolean;
  /** Asks it to stop; what waits is stopped at once. */
  stop(id: string): void;
  /** Marks what an earlier process left as interrupted. */
  recover(): void;
  close(): Promise<void>;
}

interface Active {
  readonly run: ServiceRun;
  readonly stop: AbortController;
}

/** One training and one evaluation at a time; the others wait in order. */
export function createRunQueue({
  root,
  store,
  methods,
  hide,
  log,
}: {
  root: string;
  store: ServiceRunStore;
  methods: Readonly<Record<RunKind, RunMethod>>;
  hide: (message: string) => string;
  log: Logger;
}): RunQueue {
  const active = new Map<string, Active>();
  const running = new Map<RunKind, Promise<void>>();
  const waiting: Active[] = [];
  let closed = false;
  const folder = (id: string): string => join(root, id);

  const save = (run: ServiceRun): void => {
    try {
      store.save(run);
    } catch (error) {
      log.warn('the state of a training or evaluation was not saved', {
        work: run.id,
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
  const end = async (run: ServiceRun, status: ServiceRun['status'], message?: string): Promise<void> => {
    Object.assign(run, { status, message, finishedAt: Date.now() / 1000 });
    save(run);
    log.info('work', { work: run.id, status, ...(message === undefined ? {} : { reason: message }) });
    await write(run.id, Object.assign({ event: 'end', status }, message === undefined ? {} : { message }));
  };

  async function perform({ run, stop }: Active): Promise<void> {
    let last = Promise.resolve();
    try {
      await mkdir(folder(run.id), { recursive: true });
      await mendEvents(join(folder(run.id), 'events.jsonl')).catch(() => {});
      Object.assign(run, { status: 'running' });
      save(run);
      const how = await methods[run.kind](run, {
        folder: folder(run.id),
        signal: stop.signal,
        tell: (event) => void (last = last.then(() => write(run.id, event))),
        began(place) {
          run.folder = place;
          save(run);
        },
      });
      await last;
      await end(run, closed && how === 'stopped' ? 'interrupted' : how);
    } catch (error) {
      await last;
      if (stop.signal.aborted) return end(run, closed ? 'interrupted' : 'stopped');
      log.error('a training or evaluation failed', {
        work: run.id,
        reason: (error as Error).message,
        stack: (error as Error).stack,
      });
      await end(
        run,
        'failed',
        error instanceof QalignError
          ? hide(error.message)
          : 'It failed in a way the service did not expect; its log has more.',
      );
    }
  }

  const startNext = (): void => {
    const at = closed ? -1 : waiting.findIndex(({ run }) => !running.has(run.kind));
    const [next] = at < 0 ? [] : waiting.splice(at, 1);
    if (next === undefined) return;
    const { kind, id } = next.run;
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
    submit(run) {
      const entry: Active = { run, stop: new AbortController() };
      active.set(run.id, entry);
      waiting.push(entry);
      startNext();
    },
    current: (id) => active.get(id)?.run ?? store.get(id),
    isActive: (id) => active.has(id),
    stop(id) {
      const entry = active.get(id);
      if (entry === undefined) return;
      entry.stop.abort(new QalignError('CANCELLED', 'It was stopped.'));
      const at = waiting.indexOf(entry);
      if (at < 0) return;
      waiting.splice(at, 1);
      active.delete(id);
      void end(entry.run, 'stopped');
    },
    recover() {
      for (const run of store.unfinished())
        void end(run, 'interrupted', 'The service ended meanwhile; resume goes on.');
    },
    async close() {
      closed = true;
      for (const { stop } of active.values()) stop.abort(new QalignError('SHUTTING_DOWN', 'The service is ending.'));
      for (const { run } of waiting.splice(0)) {
        active.delete(run.id);
        await end(run, 'interrupted', 'The service ended before it began; resume starts it.').catch(() => {});
      }
      await Promise.allSettled(running.values());
    },
  };
}

import { appendFile, open } from 'node:fs/promises';
import type { Logger } from '../base/logger.js';
import type { Job, JobEvent } from '../api/jobs.js';

/** What an event says of a job. */
type EventJob = Pick<Job, 'id' | 'status' | 'total' | 'done' | 'failed'> & { readonly finishedAt: number | undefined };

/**
 * Writes a line of `events.jsonl`; streams of events follow that file, so they too survive a restart. A full disk costs
 * events, never results.
 */
export async function writeEvent(path: string, job: EventJob, log: Logger): Promise<void> {
  const ended = job.finishedAt !== undefined;
  const event: JobEvent = {
    event: ended ? 'end' : 'progress',
    time: Date.now() / 1000,
    status: job.status,
    total: job.total,
    done: job.done,
    failed: job.failed,
  };
  await appendFile(path, `${JSON.stringify(event)}\n`).catch((error: Error) =>
    log.warn('an event of a job was not written', { job: job.id, reason: error.message }),
  );
}

/** A line that a killed writer tore is ended, so that the next one stands by itself. */
export async function mendEvents(path: string): Promise<void> {
  const file = await open(path, 'a+');
  try {
    const { size } = await file.stat();
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    if (size > 0 && buffer[0] !== 10) await file.write('\n');
  } finally {
    await file.close();
  }
}

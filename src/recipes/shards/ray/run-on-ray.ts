import { ERROR_CODES } from '../../../../bridge/protocol/errors.js';
import { QalignError, type ErrorCode } from '../../../base/errors.js';
import { readRayEvent, type EndEvent, type RayEvent } from './events.js';
import type { RayHead } from './head.js';
import { ENTRYPOINT, packRayJob, rayJobName, type RayJob } from './job.js';
import { hasEnded, openRayJobs, type RayJobInfo, type RayJobs } from './jobs.js';
import { logLines } from './log-lines.js';

const RECONNECT_MS = 1000;
const STOP_MS = 30_000;
const SHOWN = 500;

export interface RayRunOptions {
  readonly head: RayHead;
  readonly job: RayJob;
  /** Aborted: the client leaves, and the job continues. */
  readonly signal: AbortSignal;
  /** Called when the job is known: whether it was running before, and its id. */
  readonly onJob: (id: string, attached: boolean) => void;
  /** Called for every event in the log, from the start of the job. */
  readonly onEvent: (event: RayEvent) => void;
}

/**
 * Runs shards on a Ray cluster: submits the job, or attaches to the running job of the same work, and follows it.
 * @returns the shards without a result
 * @throws QalignError RAY_HEAD_FAILED, RAY_JOB_FAILED, RAY_NODES_DIFFER, CANCELLED (the signal was aborted, or
 * the job was stopped), and errors of the workers, such as MODEL_NOT_FOUND
 */
export async function runOnRay(options: RayRunOptions): Promise<EndEvent> {
  const { head, job, signal } = options;
  const jobs = openRayJobs(head, signal);
  await jobs.version();
  const { id, attached } = await attachOrSubmit(jobs, job);
  options.onJob(id, attached);
  return follow(jobs, id, options);
}

/** Stops the running job of this work. Returns its id, or undefined if there is none. */
export async function stopOnRay(head: RayHead, job: RayJob, signal?: AbortSignal): Promise<string | undefined> {
  const jobs = openRayJobs(head, signal);
  const { id, running } = await findJob(jobs, rayJobName(job));
  if (!running) return undefined;
  await jobs.stop(id);
  const start = performance.now();
  for (let info = await jobs.info(id); info !== undefined && !hasEnded(info); info = await jobs.info(id)) {
    if (performance.now() - start > STOP_MS)
      throw new QalignError('RAY_JOB_FAILED', `The job ${id} was asked to stop, but still runs.`);
    await pause(RECONNECT_MS, signal);
  }
  return id;
}

/** The id of the running job, or the next free one: Ray takes each id once. */
async function findJob(jobs: RayJobs, name: string): Promise<{ id: string; running: boolean }> {
  for (let number = 1; ; number++) {
    const id = number === 1 ? name : `${name}-${number}`;
    const info = await jobs.info(id);
    if (info === undefined || !hasEnded(info)) return { id, running: info !== undefined };
  }
}

async function attachOrSubmit(jobs: RayJobs, job: RayJob): Promise<{ id: string; attached: boolean }> {
  for (;;) {
    const { id, running } = await findJob(jobs, rayJobName(job));
    if (running) return { id, attached: true };
    const { name, bytes } = await packRayJob(job);
    const uri = await jobs.upload(name, bytes);
    const metadata = { qalign_shards: String(job.shards.length) };
    if (await jobs.submit(id, ENTRYPOINT, uri, metadata)) return { id, attached: false };
  }
}

async function follow(jobs: RayJobs, id: string, { head, signal, onEvent }: RayRunOptions): Promise<EndEvent> {
  let seen = 0;
  let end: EndEvent | undefined;
  let error: QalignError | undefined;
  for (;;) {
    let line = 0;
    // a new connection sends the log from its start again
    for await (const text of logLines(head, id, signal)) {
      if (line++ < seen) continue;
      seen = line;
      const event = readRayEvent(text);
      if (event === undefined) continue;
      if (event.event === 'end') end = event;
      else if (event.event === 'error') error = toError(event.error);
      else onEvent(event);
    }
    if (signal.aborted) throw left(id);
    const info = await jobs.info(id);
    if (info === undefined || hasEnded(info)) return outcome(id, info, end, error);
    await pause(RECONNECT_MS, signal);
  }
}

function outcome(
  id: string,
  info: RayJobInfo | undefined,
  end: EndEvent | undefined,
  error: QalignError | undefined,
): EndEvent {
  if (error !== undefined) throw error;
  if (end !== undefined) return end;
  if (info?.status === 'STOPPED') throw new QalignError('CANCELLED', `The job ${id} was stopped.`);
  const reason = info === undefined ? 'the head does not know it any more' : lastLine(info.message);
  throw new QalignError(
    'RAY_JOB_FAILED',
    `The job ${id} ended before all shards were done (${reason}). Results that were committed stay; run the same command again to continue.`,
  );
}

/** Ray appends the log to its message. */
const lastLine = (message: string): string =>
  (message.split('\n').find((line) => line.trim() !== '') ?? 'Ray gives no reason').trim().slice(0, SHOWN);

const left = (id: string): QalignError =>
  new QalignError('CANCELLED', `The job ${id} continues. The same command attaches to it again.`);

/** An error of the driver or of a worker; the code of another version can be unknown here. */
function toError({ code, message }: { readonly code: string; readonly message: string }): QalignError {
  const known = Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'RAY_JOB_FAILED';
  return new QalignError(known, message);
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
    if (signal?.aborted === true) done();
  });
}

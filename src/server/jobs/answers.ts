import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ResultsFormat } from '../../api/jobs.js';
import { QalignError } from '../../base/errors.js';
import type { Caller } from '../http/caller.js';
import { isVisible } from '../http/client-key.js';
import { sendFileGzip, sendGzip, wantsGzip } from '../packed-answer.js';
import { windowOf } from '../../recipes/score/curve/frame-curve.js';
import { fullLayout } from '../../recipes/score/layout/layout.js';
import { withMapColumns } from '../../recipes/score/map/columns.js';
import { curveOptions } from './item.js';
import { csvLines, resultsFile } from './results.js';
import type { JobRunner } from './runner.js';
import type { StoredJob } from './store.js';

/** @throws QalignError JOB_NOT_FOUND, also for a job of another key */
export function findJob(call: Caller<{ id: string }>, jobs: Pick<JobRunner, 'current'>): StoredJob {
  const job = jobs.current(call.params.id);
  if (job === undefined || !isVisible(job, call.client)) throw notFound(call.params.id);
  return job;
}

const notFound = (id: string): QalignError =>
  new QalignError('JOB_NOT_FOUND', `There is no job ${id}; GET /v1/jobs lists yours.`);

/** If a job was deleted while it was read, reports that instead of the read error. */
export function errorOf(error: unknown, id: string, jobs: Pick<JobRunner, 'current'>): unknown {
  return jobs.current(id) === undefined ? notFound(id) : error;
}

/**
 * Sends the results so far. Ranges work for all formats but the CSV of a job that has not ended.
 * @throws QalignError JOB_NOT_ENDED for Parquet, whose footer is written at the end
 */
export async function sendResults(call: Caller, job: StoredJob, file: string, format: ResultsFormat): Promise<void> {
  if (format === 'ndjson') return sendBytes(call, file, job.resultBytes);
  if (job.plan.shards !== undefined)
    throw new QalignError(
      'NOT_ACCEPTABLE',
      'The results of a job over shards are files; this list of them is in JSON lines only.',
    );
  const plain = fullLayout(windowOf(curveOptions(job.plan)) !== undefined);
  const layout = job.plan.map === undefined ? plain : withMapColumns(plain);
  if (job.finishedAt !== undefined) {
    const made = await resultsFile(file, job.resultBytes, format, layout);
    return format === 'parquet' ? sendRanges(call, made, undefined) : sendBytes(call, made, undefined);
  }
  if (format === 'parquet')
    throw new QalignError(
      'JOB_NOT_ENDED',
      `The job ${job.id} has not ended, and Parquet is written at the end; ask for JSON lines or CSV until then.`,
    );
  const lines = csvLines(file, job.resultBytes, { spreadsheet: format === 'csv-safe', layout });
  if (wantsGzip(call.req, call.res)) return sendGzip(call.res, Readable.from(lines), call.gone);
  await pipeline(Readable.from(lines), call.res).catch((error: Error) => {
    if (!call.gone.aborted) throw error;
  });
}

/** Sends a file or its first bytes: with ranges, or compressed. */
function sendBytes(call: Caller, file: string, bytes: number | undefined): Promise<void> {
  const { req, res, gone } = call;
  const packed = wantsGzip(req, res) && bytes !== 0;
  return packed ? sendFileGzip(res, file, bytes, gone) : sendRanges(call, file, bytes);
}

function sendRanges(call: Caller, file: string, bytes: number | undefined): Promise<void> {
  const { res } = call;
  if (bytes === 0) return Promise.resolve(void res.status(200).end());
  return new Promise((resolve, reject) => {
    const options = {
      dotfiles: 'allow',
      lastModified: false,
      cacheControl: false,
      ...(bytes === undefined ? {} : { end: bytes - 1 }),
    } as object;
    res.sendFile(file, options, (error?: Error & { status?: number }) => {
      if (error === undefined || call.gone.aborted) return resolve();
      reject(
        error.status === 416
          ? new QalignError(
              'RANGE_INVALID',
              `There are ${bytes ?? 'fewer'} bytes of results; ask for a range within them.`,
            )
          : error,
      );
    });
  });
}

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { draftOf } from '../../base/files/draft.js';
import { keyOf } from '../http/idempotency.js';
import { idOf } from '../../api/ids.js';
import { writeManifest } from './manifest.js';
import type { JobRunner } from './runner.js';
import type { JobStore, StoredJob } from './store.js';
import { withMemory, type MemoryBudget } from '../http/memory-budget.js';
import { resolveInRoot } from '../http/path-root.js';
import type { Caller } from '../http/caller.js';
import { fromWords } from '../http/valid.js';
import { JobBody, JobQuery, type JobSettings } from '../../api/jobs.js';
import { readJson } from '../http/json-body.js';
import type { ModelPool } from '../score/model-pool.js';
import { openFormParser, toUploadError } from '../http/upload.js';

const FIELDS = 16;

/** What accepting a job takes. */
export interface JobCreateServices {
  readonly config: ServeConfig;
  readonly models: ModelPool;
  readonly memory: MemoryBudget;
  readonly jobs: JobRunner;
  readonly jobStore: JobStore;
}

/** What a body says: settings, and its list as it arrives. */
interface JobRequest {
  settings(): JobSettings;
  readonly list: AsyncIterable<Uint8Array | string>;
}

/**
 * Accepts a job: its list lies whole on the disk and the job in the store before this returns. With an Idempotency-Key
 * the id follows from it, so that a repeated request finds the job of the first, whatever happened between.
 */
export async function createJob(
  call: Caller,
  services: JobCreateServices,
): Promise<{ job: StoredJob; replayed: boolean }> {
  const { jobs, jobStore, config, models } = services;
  const key = keyOf(call);
  const id = idOf('job', key);
  const draft = draftOf(jobs.folder(id));
  await mkdir(draft.path, { recursive: true });
  try {
    const { settings, total, sha256 } = await withJobRequest(call, services, async (request) => {
      const manifest = await writeManifest(
        join(draft.path, 'manifest.jsonl'),
        request.list,
        config.limits.manifest_mb * 1024 ** 2,
      );
      return { settings: request.settings(), ...manifest };
    });
    const model = settings.model ?? config.models[0] ?? '';
    const scorer = models.get(model);
    const fingerprint = createHash('sha256')
      .update(JSON.stringify([settings, sha256]))
      .digest('hex');
    const plan = {
      tasks: settings.tasks ?? scorer.defaultTasks,
      scale: settings.scale ?? 'mos5',
      prompt: settings.prompt,
      model,
      fingerprint,
    };
    await scorer.check({ tasks: plan.tasks, prompt: plan.prompt });
    return await jobs.inTurn(id, async () => {
      const known = jobStore.get(id);
      if (known !== undefined) return { job: sameJob(known, fingerprint), replayed: true };
      const job: StoredJob = {
        id,
        owner: call.client.name,
        status: 'queued',
        plan,
        total,
        done: 0,
        failed: 0,
        resultBytes: 0,
        message: undefined,
        createdAt: Date.now() / 1000,
        finishedAt: undefined,
      };
      // of a request that died before the job was in the store
      await rm(jobs.folder(id), { recursive: true, force: true });
      await draft.commit();
      try {
        jobStore.insert(job);
      } catch (error) {
        await rm(jobs.folder(id), { recursive: true, force: true }); // a full disk: what was not accepted takes no room
        throw error;
      }
      jobs.submit(job);
      return { job, replayed: false };
    });
  } finally {
    await draft.discard();
  }
}

function sameJob(job: StoredJob, fingerprint: string): StoredJob {
  if (job.plan.fingerprint === fingerprint) return job;
  throw new QalignError(
    'IDEMPOTENCY_CONFLICT',
    `This Idempotency-Key made the job ${job.id} of another list or other settings; make a new one for each.`,
  );
}

async function withJobRequest<T>(
  call: Caller,
  { config, memory }: JobCreateServices,
  work: (request: JobRequest) => Promise<T>,
): Promise<T> {
  const { req } = call;
  if (req.is('multipart/form-data') !== false && req.is('multipart/form-data') !== null) return fromForm(call, work);
  if (req.is(['text/plain', 'application/x-ndjson', 'application/jsonl', 'text/uri-list'])) {
    const settings = fromWords(JobQuery, req.query as Record<string, unknown>, 'query');
    // destroyed, it could not be told what is wrong
    return work({ settings: () => settings, list: req.iterator({ destroyOnReturn: false }) });
  }
  const most = config.limits.body_mb * 1024 ** 2;
  return withMemory(memory, Math.min(most, Number(req.get('content-length') ?? most)), async () => {
    const { items, manifest_path: path, ...settings } = await readJson(call, JobBody, config);
    if ((items === undefined) === (path === undefined))
      throw new QalignError('BODY_INVALID', 'A job needs exactly one of items and manifest_path.');
    const list =
      path === undefined
        ? Readable.from((items ?? []).map((item) => `${JSON.stringify(item)}\n`))
        : createReadStream(await resolveInRoot(config.root, path));
    return work({ settings: () => settings, list });
  });
}

/** A form has one file, the list; its fields may come before or after it. */
async function fromForm<T>(call: Caller, work: (request: JobRequest) => Promise<T>): Promise<T> {
  const fields: Record<string, string> = {};
  const parser = openFormParser(call.req, { files: 1, fields: FIELDS, fieldSize: 4096 });
  return new Promise<T>((resolve, reject) => {
    let found: Promise<T> | undefined;
    let settle!: () => void;
    const parsed = new Promise<void>((done) => (settle = done));
    const fail = (error: Error): void => {
      call.req.unpipe(parser);
      process.nextTick(() => parser.destroy()); // see readForm
      settle();
      reject(toUploadError(error));
    };
    parser.on(
      'field',
      (name, value) => void Object.defineProperty(fields, name, { value, enumerable: true, configurable: true }),
    );
    parser.on('filesLimit', () =>
      fail(new QalignError('BODY_INVALID', 'The form has more than one file; a job has one list.')),
    );
    parser.on('fieldsLimit', () => fail(new QalignError('BODY_TOO_LARGE', `The form has more than ${FIELDS} fields.`)));
    parser.on('file', (_name, stream) => {
      // the settings are read when the whole form is there
      async function* untilParsed(): AsyncGenerator<Uint8Array> {
        for await (const chunk of stream as AsyncIterable<Uint8Array>) yield chunk;
        await parsed;
      }
      found = work({ settings: () => fromWords(JobQuery, fields, 'form'), list: untilParsed() });
      found.then(resolve, fail);
    });
    parser.on('error', (error) => fail(error as Error));
    parser.on('close', () => {
      settle();
      if (found === undefined)
        reject(new QalignError('BODY_INVALID', 'The form has no file; add the list, e.g. curl -F file=@list.txt.'));
    });
    call.req.once('aborted', () => fail(new QalignError('CANCELLED', 'The client went away while it sent.')));
    call.req.pipe(parser);
  });
}

import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { draftOf } from '../../base/files/draft.js';
import { keyOf } from '../http/idempotency.js';
import { idOf } from '../../api/ids.js';
import { mapOf } from '../score/score-items.js';
import { writeManifest } from './manifest.js';
import { curveOptions } from './item.js';
import { withJobRequest } from './request.js';
import { writeShardList } from './shards/list.js';
import type { JobRunner } from './runner.js';
import type { JobStore, StoredJob } from './store.js';
import type { SharedMemory } from '../http/memory-budget.js';
import type { Caller } from '../http/caller.js';
import type { ModelPool } from '../score/model-pool.js';
import type { Webhooks } from '../webhooks/webhooks.js';

/** Dependencies of accepting a job. */
export interface JobCreateServices {
  readonly config: ServeConfig;
  readonly models: ModelPool;
  readonly memory: SharedMemory;
  readonly jobs: JobRunner;
  readonly jobStore: JobStore;
  readonly webhooks: Pick<Webhooks, 'check'>;
}

/**
 * Accepts a job. Its list is complete on disk and the job is in the store before this returns. With an Idempotency-Key
 * the id is derived from it, so that a repeated request finds the first job after any failure.
 */
export async function createJob(
  call: Caller,
  services: JobCreateServices,
): Promise<{ job: StoredJob; replayed: boolean }> {
  const { jobs, jobStore, config, models, webhooks } = services;
  const key = keyOf(call);
  const id = idOf('job', key);
  const draft = draftOf(jobs.folder(id));
  await mkdir(draft.path, { recursive: true, mode: 0o700 });
  try {
    const { settings, shards, total, sha256 } = await withJobRequest(call, services, async (request) => {
      const { shards, list } = request;
      const path = join(draft.path, 'manifest.jsonl');
      const manifest = await (shards === undefined
        ? writeManifest(path, list, config.limits.manifest_mb * 1024 ** 2)
        : writeShardList(path, shards, config, call.gone));
      return { settings: request.settings(), shards: shards?.plan, ...manifest };
    });
    if (settings.webhook !== undefined) webhooks.check(settings.webhook);
    const model = settings.model ?? config.models[0] ?? '';
    const scorer = models.get(model);
    const fingerprint = createHash('sha256')
      .update(JSON.stringify(shards === undefined ? [settings, sha256] : [settings, sha256, shards]))
      .digest('hex');
    const plan = {
      tasks: settings.tasks ?? scorer.defaultTasks,
      scale: settings.scale ?? 'mos5',
      prompt: settings.prompt,
      strict: settings.strict,
      map: mapOf(settings),
      per_frame: settings.per_frame,
      per_frame_window: settings.per_frame_window,
      model,
      shards,
      webhook: settings.webhook,
      traceparent: call.traceparent,
      fingerprint,
    };
    await scorer.check({ tasks: plan.tasks, prompt: plan.prompt, ...curveOptions(plan) });
    return await jobs.inTurn(id, async () => {
      const known = jobStore.get(id);
      if (known !== undefined) return { job: sameJob(known, fingerprint), replayed: true };
      const job: StoredJob = {
        id,
        owner: call.client.id,
        status: 'queued',
        plan,
        total,
        done: 0,
        failed: 0,
        warned: 0,
        items: 0,
        resultBytes: 0,
        message: undefined,
        createdAt: Date.now() / 1000,
        finishedAt: undefined,
      };
      // Left by a request that ended before the job was in the store.
      await rm(jobs.folder(id), { recursive: true, force: true });
      await draft.commit();
      try {
        jobStore.insert(job);
      } catch (error) {
        // On a full disk, a job that was not accepted must take no space.
        await rm(jobs.folder(id), { recursive: true, force: true });
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
    `This Idempotency-Key belongs to job ${job.id}, which has another list or other settings; use a new key for each job.`,
  );
}

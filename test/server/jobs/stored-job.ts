import type { StoredJob } from '../../../src/server/jobs/store.js';

/** A stored job, with the changes of a test. */
export const storedJob = (values: Partial<StoredJob> = {}): StoredJob => ({
  id: `job_${'0'.repeat(24)}`,
  owner: 'ann',
  status: 'queued',
  plan: { tasks: ['quality'], scale: 'mos5', prompt: undefined, model: 'tiny-untrained', fingerprint: 'f' },
  total: 200,
  done: 0,
  failed: 0,
  warned: 0,
  items: 0,
  resultBytes: 0,
  message: undefined,
  createdAt: 1,
  finishedAt: undefined,
  ...values,
});

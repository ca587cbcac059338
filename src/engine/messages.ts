import type { RequestOptions, WorkerLink } from '../../bridge/client.js';
import type { ScoredItem } from '../../bridge/protocol/score.js';
import { QalignError } from '../base/errors.js';
import { LEVELS } from '../scoring/levels.js';
import type { ClipStep, Job, Prompt, Visual } from './queue.js';

export interface Answered {
  /** Compute time reported by the worker. Undefined if nothing was computed. */
  readonly computeMs: number | undefined;
  /** Passes each job its answer. */
  readonly deliver: () => void;
}

/**
 * Sends a batch: items to score together, or one step of a clip. `views` is the number of views in a frame.
 * @throws QalignError for the whole batch
 */
export async function askWorker(
  link: WorkerLink,
  batch: readonly Job[],
  views: number,
  options: RequestOptions,
): Promise<Answered> {
  const [job] = batch;
  if (job?.step?.kind === 'encode') return encode(link, job, views, options);
  if (job?.step?.kind !== 'release') return score(link, batch, views, options);
  await link.request('release', { clip: job.step.clip.id }, options);
  return { computeMs: undefined, deliver: () => job.resolve([]) };
}

async function encode(link: WorkerLink, job: Job, views: number, options: RequestOptions): Promise<Answered> {
  const { clip, at } = job.step as NonNullable<Job['step']>;
  const { frames, timings } = await link.request(
    'encode',
    { clip: clip.id, first: at, buffers: job.visuals.map((visual) => declared(visual, views)) },
    { ...options, buffers: job.visuals.map(({ data }) => data) },
  );
  return {
    computeMs: timings.compute_ms,
    deliver: () => {
      if (frames === at + job.frames) job.resolve([]);
      else
        job.reject(
          new QalignError(
            'PROTOCOL_VIOLATION',
            `The worker has ${frames} frames of a clip, but ${at + job.frames} were sent.`,
          ),
        );
    },
  };
}

async function score(
  link: WorkerLink,
  batch: readonly Job[],
  views: number,
  options: RequestOptions,
): Promise<Answered> {
  const visuals = batch.flatMap((job) => job.visuals);
  const { items, timings } = await link.request(
    'score',
    {
      items: batch.map(({ id, visuals, prompts, step }) => ({
        id,
        visuals: step === undefined ? visuals.map(({ frames }) => ({ frames })) : [rangeOf(step)],
        prompts: prompts.map(sent),
      })),
      levels: [...LEVELS],
      buffers: visuals.map((visual) => declared(visual, views)),
    },
    { ...options, buffers: visuals.map(({ data }) => data) },
  );
  return { computeMs: timings.compute_ms, deliver: () => deliverScores(batch, items) };
}

function sent(prompt: Prompt): { text: string; frames?: number[]; stem?: string } {
  if (typeof prompt === 'string') return { text: prompt };
  return 'stem' in prompt
    ? { text: prompt.text, stem: prompt.stem }
    : { text: prompt.text, frames: [...prompt.frames] };
}

function rangeOf({ clip, at, range: [from, to] = [0, at] }: ClipStep): { clip: string; first: number; frames: number } {
  return { clip: clip.id, first: from, frames: to - from };
}

function deliverScores(batch: readonly Job[], items: readonly ScoredItem[]): void {
  const byId = new Map(items.map((item) => [item.id, item]));
  for (const job of batch) {
    const item = byId.get(job.id);
    if (item?.error !== undefined) job.reject(new QalignError(item.error.code, item.error.message));
    else if (item?.prompts?.length === job.prompts.length)
      job.resolve(
        item.prompts.map(({ logits, log_sum_exp, positions, rendered, level_tokens }) => ({
          logits,
          logSumExp: log_sum_exp,
          positions,
          ...(rendered === undefined ? {} : { rendered }),
          ...(level_tokens === undefined ? {} : { levelTokens: level_tokens }),
        })),
      );
    else
      job.reject(
        new QalignError(
          'PROTOCOL_VIOLATION',
          `The worker answered ${item?.prompts?.length ?? 0} of ${job.prompts.length} prompts of an item.`,
        ),
      );
  }
}

function declared({ frames, data, shape }: Visual, views: number): { dtype: 'uint8'; shape: number[] } {
  if (shape !== undefined) return { dtype: 'uint8', shape: [frames, shape.height, shape.width, 3] };
  const side = Math.round(Math.sqrt(data.length / frames / views / 3));
  return { dtype: 'uint8', shape: [frames, views * side, side, 3] };
}

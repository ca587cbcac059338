/** Descriptors, threads and memory over time. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Sample {
  readonly descriptors: number;
  readonly threads: number;
  readonly mb: number;
}

/** The sum over all these processes; undefined if one of them has ended. */
export function sample(pids: readonly number[]): Sample | undefined {
  try {
    return pids.map(sampleOne).reduce((a, b) => ({
      descriptors: a.descriptors + b.descriptors,
      threads: a.threads + b.threads,
      mb: a.mb + b.mb,
    }));
  } catch {
    return undefined;
  }
}

function sampleOne(pid: number): Sample {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, threads: field('Threads'), mb: field('VmRSS') / 1024 };
}

/** For each gauge, the median of the last quarter divided by that of the second quarter. */
export function growth(samples: readonly Sample[]): Sample | undefined {
  const quarter = Math.floor(samples.length / 4);
  if (quarter === 0) return undefined;
  const ratio = (gauge: keyof Sample): number => {
    const median = (part: readonly Sample[]): number =>
      part.map((one) => one[gauge]).toSorted((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
    return median(samples.slice(-quarter)) / median(samples.slice(quarter, 2 * quarter));
  };
  return { descriptors: ratio('descriptors'), threads: ratio('threads'), mb: ratio('mb') };
}

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

/** The median of each gauge in each quarter; undefined for fewer than four samples. */
export function quarters(samples: readonly Sample[]): readonly [Sample, Sample, Sample, Sample] | undefined {
  const length = Math.floor(samples.length / 4);
  if (length === 0) return undefined;
  const median = (part: readonly Sample[], gauge: keyof Sample): number =>
    part.map((one) => one[gauge]).toSorted((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
  const of = (part: readonly Sample[]): Sample => ({
    descriptors: median(part, 'descriptors'),
    threads: median(part, 'threads'),
    mb: median(part, 'mb'),
  });
  const nth = (n: number): Sample => of(samples.slice(n * length, (n + 1) * length));
  return [nth(0), nth(1), nth(2), of(samples.slice(-length))];
}

/** For each gauge, the median of the last quarter divided by that of the second quarter. */
export function growth(samples: readonly Sample[]): Sample | undefined {
  const [, second, , last] = quarters(samples) ?? [];
  if (second === undefined || last === undefined) return undefined;
  return {
    descriptors: last.descriptors / second.descriptors,
    threads: last.threads / second.threads,
    mb: last.mb / second.mb,
  };
}

/** Largest value of `growth` that counts as constant. */
export const LARGEST_GROWTH: Sample = { descriptors: 1.05, threads: 1.05, mb: 1.05 };

/** The gauges that grew by more than `largest`, a sentence each. */
export function grown(growths: Readonly<Record<string, Sample | undefined>>, largest = LARGEST_GROWTH): string[] {
  return Object.entries(growths).flatMap(([name, found]) =>
    (['descriptors', 'threads', 'mb'] as const).flatMap((gauge) =>
      found !== undefined && found[gauge] > largest[gauge]
        ? [`${gauge} of ${name} grew by ${((found[gauge] - 1) * 100).toFixed(1)} %`]
        : [],
    ),
  );
}

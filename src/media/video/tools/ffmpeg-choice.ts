/** Chooses between several ffmpeg programs. Pure functions. */

export interface Candidate {
  readonly path: string;
  readonly origin: 'PATH' | 'ffmpeg-static';
  /** Its output for `-version`. Undefined if it does not run. */
  readonly said: string | undefined;
}

export interface Choice {
  readonly path: string;
  /** Why it was preferred. Empty if there was no alternative. */
  readonly why: string;
}

/**
 * Chooses the newest ffmpeg that runs and has libswscale, which makes RGB frames. Versions are compared by libavcodec,
 * because builds between releases have no version number. PATH wins a tie, because the distribution updates it.
 */
export function chooseFfmpeg(candidates: readonly Candidate[]): Choice | undefined {
  const order = candidates.toSorted(
    (a, b) => rank(b) - rank(a) || compare(codecOf(b.said), codecOf(a.said)) || last(a),
  );
  const [first, second] = order;
  if (first === undefined) return undefined;
  if (second === undefined) return { path: first.path, why: '' };
  const other = `${second.origin === 'PATH' ? 'the one on PATH' : 'ffmpeg-static'}, ${second.path}`;
  if (second.said === undefined) return { path: first.path, why: `${other}, does not run` };
  const version = versionOf(second.said) ?? 'unknown';
  if (rank(second) < rank(first)) return { path: first.path, why: `${other}, ${version}, lacks libswscale` };
  const newer = compare(codecOf(first.said), codecOf(second.said)) > 0;
  return { path: first.path, why: newer ? `newer than ${other}, ${version}` : `as new as ${other}, ${version}` };
}

export const versionOf = (said: string): string | undefined => /version (\S+)/.exec(said)?.[1];

const rank = ({ said }: Candidate): number => (said === undefined ? 0 : /^libswscale\b/m.test(said) ? 2 : 1);
const last = ({ origin }: Candidate): number => (origin === 'PATH' ? -1 : 1);

function codecOf(said = ''): number[] {
  const found = /^libavcodec\s+(\d+)\.\s*(\d+)\.\s*(\d+)/m.exec(said) ?? [];
  return [1, 2, 3].map((part) => Number(found[part] ?? 0));
}

function compare(a: readonly number[], b: readonly number[]): number {
  const part = a.findIndex((value, i) => value !== b[i]);
  return part === -1 ? 0 : (a[part] ?? 0) - (b[part] ?? 0);
}

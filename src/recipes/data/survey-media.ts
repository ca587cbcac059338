import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { QalignError, type ErrorCode } from '../../base/errors.js';
import { fingerprint, type Fingerprint } from '../../media/fingerprint.js';
import { orderedMap } from '../../base/ordered-map.js';

export type Surveyed = { readonly fingerprint: Fingerprint } | { readonly code: ErrorCode; readonly message: string };

export interface SurveyOptions {
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /** Media files read so far, and in total. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Opens and decodes every file once. The result has the order of the paths. */
export async function surveyMedia(
  paths: readonly string[],
  { signal, onProgress }: SurveyOptions = {},
): Promise<Surveyed[]> {
  const unique = [...new Set(paths.map((path) => resolve(path)))];
  const found = new Map<string, Surveyed>();
  for await (const [path, surveyed] of orderedMap(
    unique,
    2 * availableParallelism(),
    async (path) => [path, await survey(path, signal)] as const,
    signal,
  )) {
    found.set(path, surveyed);
    onProgress?.(found.size, unique.length);
  }
  return paths.map((path) => found.get(resolve(path))!);
}

async function survey(path: string, signal: AbortSignal | undefined): Promise<Surveyed> {
  try {
    return { fingerprint: await fingerprint(path, signal) };
  } catch (error) {
    if (error instanceof QalignError && error.family === 'media') return { code: error.code, message: error.message };
    throw error;
  }
}

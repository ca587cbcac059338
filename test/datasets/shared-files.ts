import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The published label files and instruction files are beside the project, not in it. */
export const LABELS = fileURLToPath(new URL('../../../shared/labels', import.meta.url));
export const OFFICIAL = fileURLToPath(new URL('../../../shared/official_q_align', import.meta.url));
export const published = existsSync(LABELS) && existsSync(OFFICIAL);

/** For `describe.skipIf`: prints what is not run. */
export function notRun(what: string): boolean {
  if (!published)
    console.warn(
      `NOT RUN: ${what} need ../shared/labels and ../shared/official_q_align, which are not part of the project`,
    );
  return !published;
}

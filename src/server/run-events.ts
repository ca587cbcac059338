import { appendFile, open } from 'node:fs/promises';
import type { JobEvent } from '../api/jobs.js';
import type { RunEvent } from '../api/runs.js';

/** Appends a line to `events.jsonl`. Event streams read that file, so they survive a restart. */
export const appendEvent = (
  path: string,
  event: JobEvent | RunEvent,
  redact: (line: string) => string = (line) => line,
): Promise<void> => appendFile(path, `${redact(JSON.stringify(event))}\n`);

/** Ends a line that a killed writer cut off, so that the next event starts a new line. */
export async function mendEvents(path: string): Promise<void> {
  const file = await open(path, 'a+');
  try {
    const { size } = await file.stat();
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    if (size > 0 && buffer[0] !== 10) await file.write('\n');
  } finally {
    await file.close();
  }
}

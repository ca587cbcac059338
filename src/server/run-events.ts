import { appendFile, open } from 'node:fs/promises';
import type { JobEvent } from '../api/jobs.js';
import type { RunEvent } from '../api/runs.js';

/** Writes a line of `events.jsonl`. Streams of events follow that file, so that they survive a restart. */
export const appendEvent = (
  path: string,
  event: JobEvent | RunEvent,
  redact: (line: string) => string = (line) => line,
): Promise<void> => appendFile(path, `${redact(JSON.stringify(event))}\n`);

/** Ends a line that a killed writer tore, so that the next one stands by itself. */
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

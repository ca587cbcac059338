import { once } from 'node:events';
import Type from 'typebox';
import { QalignError } from '../../base/errors.js';
import { firstSignal } from '../../base/first-signal.js';
import { followLines } from '../../base/files/lines.js';
import type { Caller } from './caller.js';

const BEAT_MS = 15_000;

/** One event of a stream, as documented in OpenAPI. */
export const EVENT = Type.Object({
  id: Type.Optional(Type.String({ description: 'the number of the event, from 1' })),
  event: Type.Optional(Type.String({ description: 'its name; "end" is the last' })),
  data: Type.Optional(Type.String({ contentMediaType: 'application/json', description: 'the state as JSON' })),
  retry: Type.Optional(Type.Integer({ description: 'milliseconds' })),
});

export interface EventFile {
  readonly file: string;
  /** True when no further event will be added. */
  readonly ended: () => boolean;
  /** Aborts when the service ends: the stream ends and the client reconnects. */
  readonly ending: AbortSignal;
}

/**
 * Sends the lines of an append-only file of JSON events as server-sent events. The id is the line number. A client that
 * reconnects with Last-Event-ID continues there, even after a restart of the service.
 */
export async function streamEvents({ req, res, gone }: Caller, { file, ended, ending }: EventFile): Promise<void> {
  const from = lastEventId(req.get('last-event-id'));
  const { signal: stop, release } = firstSignal(gone, ending);
  res.status(200).set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' });
  res.write('retry: 2000\n\n');
  const beat = setInterval(() => res.write(': still here\n\n'), BEAT_MS);
  try {
    for await (const { number, text } of followLines(file, ended, stop)) {
      const name = number > from ? eventName(text) : undefined;
      if (name === undefined || gone.aborted) continue;
      if (!res.write(`id: ${number}\nevent: ${name}\ndata: ${text}\n\n`))
        await Promise.race([once(res, 'drain'), once(res, 'close')]);
    }
  } finally {
    release();
    clearInterval(beat);
    res.end();
  }
}

function lastEventId(header: string | undefined): number {
  if (header === undefined || header === '') return 0;
  if (!/^\d{1,15}$/.test(header))
    throw new QalignError('MALFORMED', 'Last-Event-ID must be an event id of this stream.');
  return Number(header);
}

function eventName(text: string): string | undefined {
  try {
    const { event } = JSON.parse(text) as { event?: unknown };
    return typeof event === 'string' && /^\w+$/.test(event) ? event : undefined;
  } catch {
    return undefined; // A kill cut off the line.
  }
}

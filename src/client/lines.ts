import type { SentEvent } from './interface.js';
import { parsed } from './service-error.js';

/** Uses a reader, because Safari before 26 cannot iterate a body. Cancels a body that is not read to its end. */
async function* lines(response: Response): AsyncGenerator<string, void, undefined> {
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) return;
  const decoder = new TextDecoder();
  let rest = '';
  let ended = false;
  try {
    while (!ended) {
      const { done, value } = await reader.read();
      ended = done;
      const parts = (rest + (done ? decoder.decode() : decoder.decode(value, { stream: true }))).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
    if (rest !== '') yield rest;
  } finally {
    if (!ended) await reader.cancel().catch(() => undefined);
  }
}

/** Newline-delimited JSON. @throws ServiceError UNKNOWN for a line that is not JSON */
export async function* jsonLines<T>(response: Response): AsyncGenerator<T, void, undefined> {
  for await (const line of lines(response)) if (line !== '') yield parsed<T>(line, response);
}

/** Server-sent events with their ids, until the service ends the stream. An incomplete event is not yielded. */
export async function* sentEvents<T>(response: Response): AsyncGenerator<SentEvent<T>, void, undefined> {
  let id = 0;
  let data: string | undefined;
  for await (const line of lines(response)) {
    if (line.startsWith('id: ')) id = Number(line.slice(4));
    if (line.startsWith('data: ')) data = line.slice(6);
    if (line !== '' || data === undefined) continue;
    yield { id, data: parsed<T>(data, response) };
    data = undefined;
  }
}

import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import type { Scorer } from '../../../src/recipes/score/scorer.js';
import { startService, withoutPython } from '../start-service.js';

const BODY = JSON.stringify({ items: [{ base64: EXAMPLE_PICTURE }], tasks: ['quality'] });
const STREAM = `POST /v1/score HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;

/** A service whose scores wait for `open`, and a client that sends `text` and is gone when `sent` items are scored. */
async function loseClient(text: string, sent: number) {
  const service = await startService(['rate_per_minute=0'], withoutPython);
  const scorer = service.services.models.get();
  const score: Scorer['score'] = scorer.score.bind(scorer);
  let open!: () => void;
  let begun = 0;
  const gate = new Promise<void>((resolve) => (open = resolve));
  scorer.score = (async (...args: Parameters<Scorer['score']>) => {
    begun++;
    await gate;
    const { signal: _signal, ...options } = args[1] ?? {}; // what is scored already is not aborted
    return score(args[0], options);
  }) as Scorer['score'];
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1', () => socket.write(text));
  await expect.poll(() => begun, { timeout: 20_000 }).toBe(sent);
  socket.destroy();
  const lost = (): number =>
    service.logged.filter(({ message, fields }) => message === 'request' && fields?.['status'] === 499).length;
  return { service, open, lost };
}

it('a stream whose client is gone ends, although its last item is scored afterwards', async () => {
  const { service, open, lost } = await loseClient(STREAM, 1);
  await expect.poll(lost, { timeout: 20_000 }).toBe(1);
  open();
  await expect.poll(() => service.services.memory.used, { timeout: 5_000 }).toBe(0);
  await service.close();
});

it('so do the requests that were pipelined behind it', async () => {
  const { service, open, lost } = await loseClient(STREAM.repeat(12), 12);
  await expect.poll(lost, { timeout: 5_000 }).toBe(12);
  open();
  await expect.poll(() => service.services.memory.used, { timeout: 5_000 }).toBe(0);
  await service.close();
});

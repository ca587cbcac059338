import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { startService, withoutPython } from '../start-service.js';

const BODIES = [
  ['application/json', JSON.stringify({ items: [{ base64: EXAMPLE_PICTURE }] })],
  ['multipart/form-data; boundary=b', '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabcdef'],
  ['image/png', 'abcdefghijklmnop'],
] as const;

/** Sends a byte of its body now and then, and never all of it. */
async function trickle(port: number, [type, body]: (typeof BODIES)[number]): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((done, fail) => socket.once('connect', done).once('error', fail));
  socket.on('error', () => {});
  socket.write(`POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: 100000\r\n\r\n`);
  let sent = 0;
  const timer = setInterval(() => socket.write(body[sent++ % body.length] as string), 20);
  socket.on('close', () => clearInterval(timer));
  return socket;
}

it('a body that trickles takes no place of admission: others are answered meanwhile', async () => {
  // nothing is known of the speed of this scorer, so 16 pictures are admitted at a time
  const service = await startService(['rate_per_minute=0'], withoutPython);
  const port = Number(new URL(service.url).port);
  const slow = await Promise.all(
    Array.from({ length: 39 }, (_, i) => trickle(port, BODIES[i % 3] as (typeof BODIES)[0])),
  );
  try {
    await expect.poll(() => service.services.memory.used, { timeout: 20_000 }).toBeGreaterThan(39);
    for (let i = 0; i < 5; i++) {
      const { scored } = await service.client.score([{ base64: EXAMPLE_PICTURE }], { tasks: ['quality'] });
      expect(scored).toBe(1);
    }
    expect(slow.filter((socket) => socket.closed)).toEqual([]); // they still send
  } finally {
    for (const socket of slow) socket.destroy();
    await expect.poll(() => service.services.memory.used, { timeout: 20_000 }).toBe(0);
    await service.close();
  }
});

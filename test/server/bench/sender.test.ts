import { createServer } from 'node:http';
import { createServer as listenRaw, type AddressInfo, type Server } from 'node:net';
import { expect, it } from 'vitest';
import { closedLoop, openLoop, shotOf } from '../../../src/server/bench/load.js';
import { createSender } from '../../../src/server/bench/sender.js';

async function listening<S extends Server>(server: S): Promise<string> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const SHOT = shotOf([{ name: 'a b.jpg', data: new Uint8Array(100_000) }], 1000);

it('sends complete requests, reuses connections, and separates the responses', async () => {
  let connections = 0;
  const lengths: number[] = [];
  const server = createServer((req, res) => {
    let bytes = 0;
    req
      .on('data', (chunk: Buffer) => (bytes += chunk.length))
      .on('end', () => {
        lengths.push(bytes);
        const refused = lengths.length % 3 === 0;
        const body = 'x'.repeat(50_000);
        res.writeHead(refused ? 429 : 200, {
          'Content-Length': body.length,
          ...(refused ? { 'Retry-After': '0' } : {}),
        });
        res.write(body.slice(0, 10));
        setImmediate(() => res.end(body.slice(10)));
      });
  }).on('connection', () => void connections++);
  const url = await listening(server);
  const { sent, by_status, items_per_second, retry_after_on_429 } = await closedLoop(
    url,
    [SHOT],
    3,
    (count) => count >= 30,
  );
  expect([sent, connections, retry_after_on_429]).toEqual([30, 3, true]);
  expect(by_status).toEqual({ 200: 20, 429: 10 });
  expect(items_per_second).toBeGreaterThan(0);
  expect(new Set(lengths)).toEqual(new Set([SHOT.bytes.length - SHOT.bytes.indexOf('\r\n\r\n') - 4]));
  const open = await openLoop(url, [SHOT], 100, { seconds: 0.3 });
  expect(open.sent + open.withheld).toBeGreaterThanOrEqual(25);
  expect(open.sent + open.withheld).toBeLessThanOrEqual(31);
  expect(open.sent_late_p99_ms).toBeGreaterThan(0);
  server.closeAllConnections();
  server.close();
});

it('reports how a connection broke', async () => {
  const server = listenRaw((socket) => void socket.once('data', () => socket.resetAndDestroy()));
  const url = await listening(server);
  expect((await closedLoop(url, [SHOT], 1, (count) => count >= 2)).by_status).toEqual({ ECONNRESET: 2 });
  server.close();
  const sender = createSender('http://127.0.0.1:1');
  await expect(sender.send(SHOT.bytes)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  sender.close();
});

import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/logger.js';
import { createMetrics } from '../../../src/server/metrics.js';
import { createFloodGuard, type FloodGuard } from '../../../src/server/http/flood-guard.js';
import { startService, withoutPython } from '../start-service.js';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A flood guard before a handler that responds when `release` is called. */
async function flooded(refusing: boolean): Promise<{
  late: { ms: number };
  url: string;
  metrics: ReturnType<typeof createMetrics>;
  arrived: () => number;
  release: () => void;
}> {
  const metrics = createMetrics();
  const late = { ms: 0 };
  let [count, isOpen] = [0, false];
  const waiting: (() => void)[] = [];
  const guard: FloodGuard = createFloodGuard(
    (req, res) => {
      count++;
      req.resume();
      if (isOpen || req.method === 'GET') res.end('behind');
      else waiting.push(() => res.end('behind'));
    },
    { metrics, log: silentLogger, waitS: () => 3.2, refusing: () => refusing, lateMs: () => late.ms },
  );
  const server: Server = createServer(guard.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => (guard.close(), server.closeAllConnections(), server.close()));
  const release = (): void => {
    isOpen = true;
    for (const answer of waiting.splice(0)) answer();
  };
  return {
    late,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    metrics,
    arrived: () => count,
    release,
  };
}

const post = (url: string): Promise<Response> => fetch(url, { method: 'POST', body: 'x'.repeat(100_000) });
const statuses = async (answers: readonly Promise<Response>[]): Promise<number[]> =>
  (await Promise.all(answers)).map(({ status }) => status);
const several = (count: number, url: string): Promise<Response>[] => Array.from({ length: count }, () => post(url));

describe('the flood guard', () => {
  it.each([
    ['some requests are under way, others are refused and the loop is a little late', true, 8, 12],
    ['many requests are under way and the loop is very late', false, 150, 70],
  ])('refuses work unread while %s', async (_what, refusing, lateMs, under) => {
    const { url, metrics, arrived, release, late } = await flooded(refusing);
    const first = several(under, url);
    while (arrived() < under) await new Promise((resolve) => setTimeout(resolve, 5));
    late.ms = lateMs;
    const refused = await Promise.all(several(8, url));
    expect(refused.map(({ status }) => status)).toEqual(Array(8).fill(429));
    expect(refused[0]?.headers.get('retry-after')).toBe('4');
    expect(await refused[0]?.json()).toMatchObject({
      error: { code: 'OVERLOADED', retryable: true, request_id: refused[0]?.headers.get('x-request-id') },
    });
    expect((await fetch(url)).status).toBe(200); // health checks still work
    expect(await metrics.registry.metrics()).toMatch(/qalign_rejects_total\{reason="FLOOD"\} 8/);
    late.ms = 0;
    release();
    expect(new Set(await statuses(first))).toEqual(new Set([200]));
    expect(await statuses(several(2, url))).toEqual([200, 200]);
  });

  it('lets few requests through at any delay of the event loop', async () => {
    const { url, release, late } = await flooded(true);
    release();
    late.ms = 5_000;
    expect(await statuses(several(8, url))).toEqual(Array(8).fill(200));
  });
});

describe('a request that asks before it sends (Expect: 100-continue)', () => {
  async function ask(type: string): Promise<string[]> {
    const service = await startService([], withoutPython);
    const { hostname, port } = new URL(service.url);
    const body = JSON.stringify({ items: [] });
    try {
      return await new Promise((resolve, reject) => {
        let text = '';
        const socket = connect(Number(port), hostname, () =>
          socket.write(
            `POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
          ),
        );
        socket.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
          if (text === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write(body);
          if (text.endsWith('}')) socket.destroy();
        });
        socket
          .on('error', reject)
          .on('close', () => resolve([...text.matchAll(/^HTTP\/1.1 (\d+)/gm)].map(([, status]) => status as string)));
      });
    } finally {
      await service.close();
    }
  }

  it('gets 100 Continue when its body is wanted', async () => {
    expect(await ask('application/json')).toEqual(['100', '422']);
  });

  it('does not send a body that is refused', async () => {
    expect(await ask('text/plain')).toEqual(['415']);
  });
});

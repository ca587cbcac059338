import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { listen, openServer } from '../../../src/server/listener.js';
import { startService, withoutPython } from '../start-service.js';

const open = async (url: string): Promise<Socket> => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
};

it('answers only health checks while all connections are in use', async () => {
  const service = await startService(['health_port=0', 'limits.connections=3'], withoutPython);
  const idle = await Promise.all([1, 2, 3].map(() => open(service.url)));
  try {
    await expect.poll(() => fetch(`${service.url}/healthz`).then(() => true, () => false)).toBe(false); // prettier-ignore
    const ask = async (path: string): Promise<number> => (await fetch(service.healthUrl + path)).status;
    expect([await ask('/healthz'), await ask('/readyz'), await ask('/metrics')]).toEqual([200, 503, 200]);
    expect([await ask('/v1/models'), await ask('/openapi.json')]).toEqual([404, 404]);
  } finally {
    for (const socket of idle) socket.destroy();
    await service.close();
  }
});

it('has no health listener if none is configured', async () => {
  const service = await startService([], withoutPython);
  expect(service.healthUrl).toBeUndefined();
  await service.close();
});

it('closes a connection whose headers do not arrive in time', async () => {
  const listener = { host: '127.0.0.1', port: 0, connections: 2, headersMs: 50, checkMs: 20 };
  const server = openServer({ handle: (_, res) => void res.end('ok') }, listener);
  await listen(server, listener);
  try {
    const silent = await open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    silent.write('GET / HTTP/1.1\r\nHost: localhost\r\n');
    let said = '';
    silent.setEncoding('utf8').on('data', (text: string) => (said += text));
    await once(silent, 'close');
    expect(said).toMatch(/^HTTP\/1\.1 408 /);
  } finally {
    server.close();
  }
});

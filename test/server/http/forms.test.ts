import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

let service: TestService;
beforeAll(async () => {
  service = await startService(['limits.memory_mb=1', 'request_ms=20000'], withoutPython);
});
afterAll(() => service.close());

const post = async (path: string, form: FormData): Promise<{ status: number; body: Record<string, unknown> }> => {
  const answer = await fetch(service.url + path, { method: 'POST', body: form });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
};
const listForm = (...fields: readonly (readonly [string, string])[]): FormData => {
  const form = new FormData();
  for (const [name, value] of fields) form.append(name, value);
  form.append('file', new Blob([`{"base64":"${EXAMPLE_PICTURE}"}\n`]), 'list.txt');
  return form;
};

describe('the fields of a form for a job', () => {
  it('are a list where they are repeated, as for a score', async () => {
    const { status, body } = await post('/v1/jobs', listForm(['tasks', 'quality'], ['tasks', 'aesthetics']));
    expect([status, body['tasks']]).toEqual([202, ['quality', 'aesthetics']]);
  });

  it('are refused where they are longer than is read', async () => {
    const { status, body } = await post('/v1/jobs', listForm(['model', 'x'.repeat(5000)]));
    expect([status, body['error']]).toMatchObject([413, { code: 'BODY_TOO_LARGE' }]);
  });
});

describe('the fields of a form with pictures', () => {
  const open: Socket[] = [];
  afterEach(() => open.splice(0).forEach((socket) => socket.destroy()));
  /** Sends fields and not the end of the form. */
  const begin = (fields: number): Socket => {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    open.push(socket);
    socket.on('error', () => {});
    socket.write(
      'POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n',
    );
    for (let i = 0; i < fields; i++)
      socket.write(`--b\r\nContent-Disposition: form-data; name="f${i}"\r\n\r\n${'x'.repeat(60_000)}\r\n`);
    return socket;
  };

  it('count as memory of bodies, and are refused where it is full', async () => {
    begin(10);
    await expect.poll(() => service.services.memory.used).toBeGreaterThanOrEqual(9 * 60_000);
    const second = begin(20);
    const answer = await new Promise<string>((resolve) => second.once('data', (data) => resolve(String(data))));
    expect(answer).toMatch(/^HTTP\/1\.1 429 [^]*"OVERLOADED"/);
    open.splice(0).forEach((socket) => socket.destroy());
    await expect.poll(() => service.services.memory.used).toBe(0);
  });
});

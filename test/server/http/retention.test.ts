import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deadline } from '../../../src/base/first-signal.js';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let service: TestService;
beforeAll(async () => {
  service = await startService(['request_ms=600000'], withoutPython);
});
afterAll(() => service.close());

const picture = (): Blob => new Blob([Buffer.from(EXAMPLE_PICTURE, 'base64')]);
const form = (...fields: string[]): FormData => {
  const data = new FormData();
  for (const field of fields) data.append(field, picture(), 'one.png');
  return data;
};
const post = (path: string, body: string | FormData, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${service.url}${path}`, { method: 'POST', body, headers });
const json = (value: unknown, headers: Record<string, string> = {}) =>
  [JSON.stringify(value), { 'content-type': 'application/json', ...headers }] as const;
const items = [{ base64: EXAMPLE_PICTURE }];

/** How many of `count` requests are still in memory after all responses. The last of a connection can be. */
async function left(count: number, send: () => Promise<Response>): Promise<number> {
  const seen: WeakRef<IncomingMessage>[] = [];
  const see = (message: unknown): void =>
    void seen.push(new WeakRef((message as { request: IncomingMessage }).request));
  subscribe('http.server.request.start', see);
  for (let i = 0; i < count; i++) await (await send()).arrayBuffer();
  unsubscribe('http.server.request.start', see);
  expect(seen).toHaveLength(count);
  for (let i = 0; i < 10; i++) {
    collect();
    await sleep(20);
  }
  return seen.filter((ref) => ref.deref() !== undefined).length;
}

// a request has ten minutes: none must stay in memory until its time is over
it.each<[string, () => Promise<Response>]>([
  ['a form', () => post('/v1/score', form('file'))],
  ['JSON', () => post('/v1/score', ...json({ items }))],
  ['a stream of lines', () => post('/v1/score', ...json({ items }, { accept: 'application/x-ndjson' }))],
  ['a comparison', () => post('/v1/compare', form('file', 'file'))],
  ['what is refused', () => post('/v1/score', ...json({ items: 1 }))],
  ['what cannot be scored', () => post('/v1/score', ...json({ items: [{ base64: 'AAAA' }] }))],
])('holds nothing of a request that it has answered: %s', async (_what, send) => {
  expect(await left(20, send)).toBeLessThanOrEqual(2);
});

it('a released deadline keeps no listeners', async () => {
  const listen = (): WeakRef<object> => {
    const held = {};
    const { signal, release } = deadline(600_000, () => new Error('late'), new AbortController().signal);
    signal.addEventListener('abort', () => held);
    release();
    return new WeakRef(held);
  };
  const refs = Array.from({ length: 10 }, listen);
  await sleep(20);
  collect();
  expect(refs.filter((ref) => ref.deref() !== undefined)).toEqual([]);
});

it('an expired deadline aborts with its own reason', async () => {
  const { signal, late } = deadline(5, () => new Error('late'), new AbortController().signal);
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  expect([late.aborted, (signal.reason as Error).message]).toEqual([true, 'late']);
});

import fc from 'fast-check';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { problemWith } from '../../../bridge/validate.js';
import type { Route } from '../../../src/server/route.js';
import { ROUTES } from '../../../src/server/routes/index.js';
import { ErrorAnswer } from '../../../src/api/error.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

const RUNS = 24;
let service: TestService;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'qalign-fuzz-'));
  await writeFile(join(root, 'a.csv'), 'x,y\n1,2\n');
  service = await startService(
    [
      `root=${root}`,
      `runs_dir=${join(root, 'runs')}`,
      'limits.items=4',
      'limits.body_mb=1',
      'rate_per_minute=0',
      'most_models=1',
    ],
    withoutPython,
  );
});
afterAll(async () => {
  await service.close();
  await rm(root, { recursive: true, force: true });
});

const nasty = fc.constantFrom(
  '',
  ' ',
  '\0',
  '..',
  '../../etc/passwd',
  '%00',
  '%',
  'x'.repeat(3000),
  '☃',
  '__proto__',
  'constructor',
  '-1',
  '1e999',
  'null',
  "'; DROP TABLE jobs; --",
  'a.csv',
);
const word = fc.oneof(
  nasty,
  fc.string({ maxLength: 40 }),
  fc.constantFrom('job_000000000000000000000000', 'quality', 'tiny-untrained'),
);
/** An example with an added, removed or retyped value. */
const mutated = (example: unknown): fc.Arbitrary<unknown> =>
  fc.tuple(fc.nat(), fc.oneof(fc.jsonValue(), nasty, fc.integer(), fc.constant(undefined))).map(([place, value]) => {
    const copy = structuredClone(example);
    const spots: [Record<string, unknown>, string][] = [];
    const walk = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      for (const key of [...Object.keys(node), 'zz']) {
        spots.push([node as Record<string, unknown>, key]);
        walk((node as Record<string, unknown>)[key]);
      }
    };
    walk(copy);
    const [node, key] = spots[place % Math.max(1, spots.length)] ?? [];
    if (node !== undefined && key !== undefined) node[key] = value;
    return copy;
  });

const bodies = ({ examples }: Route): fc.Arbitrary<{ type: string; body: string }> => {
  const known = examples.map(({ body }) => body).filter((body) => body !== undefined);
  const json = fc
    .oneof(fc.jsonValue(), ...known.map(mutated))
    .map((value) => ({ type: 'application/json', body: JSON.stringify(value) ?? '' }));
  const raw = fc
    .tuple(
      fc.constantFrom(
        'application/json',
        'text/plain',
        'application/x-ndjson',
        'multipart/form-data; boundary=b',
        'multipart/form-data',
        'image/png',
        'application/json; charset=utf-99',
        '',
      ),
      fc.oneof(
        word,
        fc.constant('--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--b--\r\n'),
      ),
    )
    .map(([type, body]) => ({ type, body }));
  return fc.oneof({ weight: 3, arbitrary: json }, { weight: 2, arbitrary: raw });
};
const headers = fc.dictionary(
  fc.constantFrom(
    'Range',
    'Last-Event-ID',
    'Idempotency-Key',
    'Accept',
    'traceparent',
    'X-Request-Id',
    'Authorization',
    'Content-Encoding',
    'If-Range',
  ),
  fc.oneof(
    fc.constantFrom(
      'bytes=0-',
      'bytes=9999-',
      'x',
      '-1',
      '*/*',
      'application/x-ndjson',
      'text/csv',
      'gzip',
      'Basic !!',
      'Bearer',
      '00-00-00-00',
    ),
    fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[^\x20-\x7e]/g, '').trim()),
  ),
  { maxKeys: 3 },
);

async function send(
  route: Route,
  {
    params,
    query,
    headers,
    body,
  }: {
    params: string[];
    query: Record<string, string>;
    headers: Record<string, string>;
    body: { type: string; body: string };
  },
): Promise<Response> {
  let at = 0;
  const path = route.path.replaceAll(
    /\{\w+\}/g,
    () => encodeURIComponent(params[at++ % params.length] ?? 'x').replaceAll('%2500', '%00') || 'x',
  );
  const words = new URLSearchParams(query).toString();
  return fetch(`${service.url}${path}${words === '' ? '' : `?${words}`}`, {
    method: route.method.toUpperCase(),
    headers: { ...(route.method === 'post' && body.type !== '' ? { 'Content-Type': body.type } : {}), ...headers },
    ...(route.method === 'post' ? { body: body.body } : {}),
    signal: AbortSignal.timeout(20_000),
  });
}

it.each(ROUTES.map((route) => ({ name: `${route.method} ${route.path}`, route })))(
  'finds no 500 and no stack: $name',
  async ({ route }) => {
    const names = Object.keys(route.query?.properties ?? {});
    const request = fc.record({
      params: fc.array(word, { minLength: 1, maxLength: 2 }),
      query: fc.dictionary(
        fc.oneof(
          fc.constantFrom('zz', ...names),
          nasty.filter((key) => key.length < 50),
        ),
        word,
        { maxKeys: 3 },
      ),
      headers,
      body: bodies(route),
    });
    await fc.assert(
      fc.asyncProperty(request, async (given) => {
        const response = await send(route, given);
        const text = await response.text();
        expect([500, 502], text.slice(0, 300)).not.toContain(response.status);
        if (response.status < 400) return;
        const answer = JSON.parse(text) as { error?: unknown };
        const own = route.answers[response.status]?.schema;
        expect(
          own === undefined ? problemWith(ErrorAnswer, { error: answer.error }) : problemWith(own, answer),
        ).toBeUndefined();
        expect(text).not.toMatch(/node_modules|\.(ts|js):\d+|\\n {2,}at /);
        expect(text).not.toContain(root);
      }),
      { seed: 20261124, numRuns: RUNS, endOnFailure: true },
    );
  },
  120_000,
);

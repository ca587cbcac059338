import { expect, it } from 'vitest';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { startService } from '../start-service.js';
import { startCollector, type ReceivedSpan } from './collector.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';

it('exports a request of the caller’s trace with the stages of its items; unsampled requests are not exported', async () => {
  const collector = await startCollector();
  const service = await startService([`traces.endpoint=${collector.endpoint}`]);
  const items = [{ base64: EXAMPLE_PICTURE }, { base64: EXAMPLE_PICTURE }];
  const post = (flags: string): Promise<Response> =>
    fetch(`${service.url}/v1/score`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', traceparent: `00-${TRACE}-${CALLER}-${flags}` },
      body: JSON.stringify({ items }),
    });
  const answer = await post('01');
  expect(answer.status).toBe(200);
  await answer.text();
  await (await post('00')).text();
  await (await fetch(`${service.url}/healthz`)).text();
  await service.close();
  await collector.close();

  const ofTrace = collector.spans().filter(({ traceId }) => traceId === TRACE);
  const [request] = ofTrace.filter(({ kind }) => kind === 2) as [ReceivedSpan];
  expect(request).toMatchObject({ name: 'POST /v1/score', parentSpanId: CALLER });
  expect(answer.headers.get('traceparent')).toBe(`00-${TRACE}-${request.spanId}-01`);
  const named = (name: string): ReceivedSpan[] => ofTrace.filter((span) => span.name === name);
  for (const name of ['decode', 'queue', 'batch'])
    expect(named(name).map(({ parentSpanId }) => parentSpanId)).toEqual([request.spanId, request.spanId]);
  expect(named('worker').map(({ parentSpanId }) => parentSpanId)).toEqual(named('batch').map(({ spanId }) => spanId));
  expect(ofTrace).toHaveLength(9);
  const [decode, queue, batch] = ['decode', 'queue', 'batch'].map((name) => named(name)[0]) as [
    ReceivedSpan,
    ReceivedSpan,
    ReceivedSpan,
  ];
  const times = [request, decode, queue, batch].map(({ startTimeUnixNano }) => BigInt(startTimeUnixNano));
  expect([...times].sort((a, b) => (a < b ? -1 : 1))).toEqual(times);
  expect(BigInt(batch.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(request.endTimeUnixNano));
  expect(collector.spans().some(({ name }) => name === 'GET /healthz')).toBe(true);
});

it('exports a job under the request that made it, and its first items under the job', async () => {
  const collector = await startCollector();
  const service = await startService([`traces.endpoint=${collector.endpoint}`]);
  const made = await fetch(`${service.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', traceparent: `00-${TRACE}-${CALLER}-01` },
    body: JSON.stringify({ items: Array(102).fill({ base64: EXAMPLE_PICTURE }), tasks: ['quality'] }),
  });
  const { id } = (await made.json()) as { id: string };
  await expect.poll(async () => (await service.client.jobs.get(id)).status, { timeout: 60_000 }).toBe('completed');
  await service.close();
  await collector.close();

  const spans = collector.spans().filter(({ traceId }) => traceId === TRACE);
  const named = (name: string): ReceivedSpan[] => spans.filter((span) => span.name === name);
  const [[request], [job]] = [named('POST /v1/jobs'), named('job')] as [[ReceivedSpan], [ReceivedSpan]];
  expect([request.parentSpanId, job.parentSpanId]).toEqual([CALLER, request.spanId]);
  expect(Object.fromEntries(job.attributes.map(({ key, value }) => [key, Object.values(value)[0] as string]))).toEqual({
    'qalign.job': id,
    'qalign.status': 'completed',
    'qalign.items': '102',
    'qalign.failed': '0',
  });
  for (const name of ['decode', 'queue', 'batch'])
    expect(named(name).map(({ parentSpanId }) => parentSpanId)).toEqual(Array(100).fill(job.spanId));
});

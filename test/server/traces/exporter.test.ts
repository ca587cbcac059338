import { expect, it } from 'vitest';
import { createLogger, silentLogger } from '../../../src/base/logger.js';
import { createSpanExporter } from '../../../src/server/traces/exporter.js';
import { toOtlp, type Span } from '../../../src/server/traces/span.js';
import { startCollector } from './collector.js';

const span = (name: string): Span => ({
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  name,
  kind: 'internal',
  start: 1,
  end: 3.5,
  attributes: { text: 'a', whole: 3, part: 0.5 },
});

it('writes spans in the OTLP format: 64-bit numbers as text, times in nanoseconds', () => {
  const text = JSON.stringify(toOtlp([{ ...span('x'), failed: true }]));
  const [, start, end] = /"startTimeUnixNano":"(\d+)","endTimeUnixNano":"(\d+)"/.exec(text) ?? [];
  expect(BigInt(end as string) - BigInt(start as string)).toBe(2_500_000n);
  expect(Math.abs(Number(BigInt(start as string) / 1_000_000n) - (performance.timeOrigin + 1))).toBeLessThan(2);
  expect(text).toContain('{"key":"whole","value":{"intValue":"3"}},{"key":"part","value":{"doubleValue":0.5}}');
  expect(text).toContain('"status":{"code":2}');
});

it('sends spans again if a collector was unavailable, and drops spans that it refuses', async () => {
  const collector = await startCollector([503, 200]);
  const exporter = createSpanExporter(collector.endpoint, { authorization: 'Basic eA==' }, silentLogger);
  exporter.add(span('a'));
  await exporter.close();
  exporter.add(span('b'));
  await exporter.close();
  expect(collector.spans().map(({ name }) => name)).toEqual(['a', 'a', 'b']);
  expect(collector.headers[0]).toMatchObject({ 'content-type': 'application/json', authorization: 'Basic eA==' });
  await collector.close();

  const refusing = await startCollector([400]);
  const lines: string[] = [];
  const log = createLogger((level, message, fields) => void lines.push(JSON.stringify([level, message, fields])));
  const refused = createSpanExporter(refusing.endpoint, {}, log);
  refused.add(span('c'));
  await refused.close();
  await refused.close();
  expect(refusing.exports).toHaveLength(1);
  expect(lines).toEqual(['["warn","spans were not exported",{"dropped":1,"reason":"status 400"}]']);
  await refusing.close();
});

it('keeps a bounded number of spans while the collector is unavailable', async () => {
  const exporter = createSpanExporter('http://127.0.0.1:9/v1/traces', {}, silentLogger);
  for (let i = 0; i < 10_000; i++) exporter.add(span(`${i}`));
  await exporter.close(); // logs nothing, throws nothing
});

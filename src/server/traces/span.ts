import { packageVersion } from '../../base/package-root.js';

/** A part of a trace; times in ms of `performance.now()`. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  /** `server`: a request of a client. */
  readonly kind: 'server' | 'internal';
  readonly start: number;
  readonly end: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly failed?: boolean;
}

// Numbers of opentelemetry-proto.
const KINDS = { internal: 1, server: 2 } as const;
const ERROR = 2;

/** Spans as the JSON of OTLP/HTTP: ids in hexadecimal, 64-bit numbers as strings. */
export const toOtlp = (spans: readonly Span[]): object => ({
  resourceSpans: [
    {
      resource: { attributes: toAttributes({ 'service.name': 'qalign', 'service.version': packageVersion }) },
      scopeSpans: [{ scope: { name: 'qalign', version: packageVersion }, spans: spans.map(toJson) }],
    },
  ],
});

const toJson = ({
  traceId,
  spanId,
  parentSpanId,
  name,
  kind,
  start,
  end,
  attributes,
  failed = false,
}: Span): object => ({
  traceId,
  spanId,
  ...(parentSpanId === undefined ? {} : { parentSpanId }),
  name,
  kind: KINDS[kind],
  startTimeUnixNano: toNano(start),
  endTimeUnixNano: toNano(Math.max(start, end)),
  attributes: toAttributes(attributes),
  status: failed ? { code: ERROR } : {},
});

/** The clock has a resolution of microseconds. */
const toNano = (ms: number): string => `${Math.round((performance.timeOrigin + ms) * 1000)}000`;

const toAttributes = (values: Span['attributes']): object[] =>
  Object.entries(values).map(([key, value]) => ({
    key,
    value:
      typeof value === 'string'
        ? { stringValue: value }
        : Number.isInteger(value)
          ? { intValue: String(value) }
          : { doubleValue: value },
  }));

/** The boundary of src/server/traces: spans of requests, jobs and items, sent by OTLP; independent of routes. */
import { randomUUID } from 'node:crypto';
import type { ServeConfig } from '../../config/serve.js';
import type { Logger } from '../../base/logger.js';
import type { OnStage } from '../../base/stage.js';
import { createSpanExporter } from './exporter.js';

/** An answered request. */
export interface TracedRequest {
  readonly traceparent: string;
  /** Span of the caller. */
  readonly parentSpan: string | undefined;
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
  readonly requestId: string;
}

/** A job that this process works on. */
export interface TracedJob {
  /** Trace context of the job's span, for the spans of its items. */
  readonly traceparent: string;
  readonly end: (job: {
    readonly id: string;
    readonly status: string;
    readonly done: number;
    readonly failed: number;
  }) => void;
}

export interface Traces {
  readonly request: (request: TracedRequest) => void;
  /** Starts a span for a job, below the span of the request that created it; undefined if tracing is off. */
  readonly job: (traceparent: string | undefined) => TracedJob | undefined;
  /** Records the stages of an item of a request; undefined if tracing is off. */
  readonly stagesOf: (traceparent: string, item: number) => OnStage | undefined;
  readonly close: () => Promise<void>;
}

const NO_TRACES: Traces = { request: () => {}, job: () => undefined, stagesOf: () => undefined, close: async () => {} };

export function createTraces({ traces }: Pick<ServeConfig, 'traces'>, log: Logger): Traces {
  if (traces.endpoint === null) return NO_TRACES;
  const { add, close } = createSpanExporter(traces.endpoint, traces.headers, log);
  return {
    close,
    request({ traceparent, parentSpan, method, route, status, seconds, requestId }) {
      const { traceId, spanId, sampled } = parse(traceparent);
      const end = performance.now();
      if (!sampled) return;
      add({
        traceId,
        spanId,
        parentSpanId: parentSpan,
        name: `${method} ${route}`,
        kind: 'server',
        start: end - seconds * 1000,
        end,
        attributes: {
          'http.request.method': method,
          'http.route': route,
          'http.response.status_code': status,
          'qalign.request_id': requestId,
        },
        failed: status >= 500,
      });
    },
    job(made) {
      const { traceId, spanId: parentSpanId, sampled } = parse(made ?? '');
      if (!sampled) return undefined;
      const [spanId, start] = [newSpanId(), performance.now()];
      return {
        traceparent: `00-${traceId}-${spanId}-01`,
        end: ({ id, status, done, failed }) =>
          add({
            traceId,
            spanId,
            parentSpanId,
            name: 'job',
            kind: 'internal',
            start,
            end: performance.now(),
            attributes: {
              'qalign.job': id,
              'qalign.status': status,
              'qalign.items': done,
              'qalign.failed': failed,
            },
            failed: status === 'failed',
          }),
      };
    },
    stagesOf(traceparent, item) {
      const { traceId, spanId: parentSpanId, sampled } = parse(traceparent);
      if (!sampled) return undefined;
      const own = { traceId, parentSpanId, kind: 'internal', attributes: { 'qalign.item': item } } as const;
      return ({ name, start, end, batch }) => {
        const spanId = newSpanId();
        if (batch === undefined) return add({ ...own, spanId, name, start, end });
        const { computeMs, ...rest } = batch;
        const attributes = Object.fromEntries(Object.entries(rest).map(([key, value]) => [`qalign.${key}`, value]));
        add({ ...own, spanId, name, start, end, attributes: { ...own.attributes, ...attributes } });
        // The worker reports how long it computed, not when: its span ends with the batch.
        const began = Math.max(start, end - computeMs);
        add({ ...own, spanId: newSpanId(), parentSpanId: spanId, name: 'worker', start: began, end });
      };
    },
  };
}

function parse(traceparent: string): { traceId: string; spanId: string; sampled: boolean } {
  const [, traceId = '', spanId = '', flags = '00'] = traceparent.split('-');
  return { traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 };
}

const newSpanId = (): string => randomUUID().replaceAll('-', '').slice(-16);

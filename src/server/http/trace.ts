import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const ZERO = /^0+$/;

/** W3C trace context of the caller with a new span id, or a new trace. Malformed headers are ignored. */
function continueTrace(header: string | undefined): { traceparent: string; parentSpan: string | undefined } {
  const [, version, trace, parent, flags] = TRACEPARENT.exec(header ?? '') ?? [];
  const valid =
    version !== undefined &&
    version !== 'ff' &&
    trace !== undefined &&
    parent !== undefined &&
    !ZERO.test(trace) &&
    !ZERO.test(parent);
  const traceparent = `00-${valid ? trace : randomHex(32)}-${randomHex(16)}-${valid ? flags : '01'}`;
  return { traceparent, parentSpan: valid ? parent : undefined };
}

/**
 * Takes random bytes from the pool behind randomUUID. randomBytes calls the kernel each time, which takes 5 % of
 * the time of a refusal.
 */
const randomHex = (digits: number): string => randomUUID().replaceAll('-', '').slice(-digits);

/**
 * Identifies every request: `X-Request-Id` of the caller if it is valid, and the trace. Both are returned in headers.
 */
export function nameRequest(req: Request, res: Response, next: NextFunction): void {
  const given = req.get('x-request-id');
  const requestId = given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : randomHex(16);
  const { traceparent, parentSpan } = continueTrace(req.get('traceparent'));
  Object.assign(res.locals, { requestId, traceparent, parentSpan, startedAt: performance.now() });
  res.set({ 'X-Request-Id': requestId, traceparent });
  next();
}

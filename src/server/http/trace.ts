import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const ZERO = /^0+$/;

/** The W3C trace context of the caller with a span of ours, or a new one; anything malformed counts as absent. */
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
 * A UUID comes from a store of random bytes; randomBytes asks the kernel each time, 5 % of what refusing a request
 * costs.
 */
const randomHex = (digits: number): string => randomUUID().replaceAll('-', '').slice(-digits);

/** Names every request: `X-Request-Id` of the caller if it is harmless, and the trace. Both go back in headers. */
export function nameRequest(req: Request, res: Response, next: NextFunction): void {
  const given = req.get('x-request-id');
  const requestId = given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : randomHex(16);
  const { traceparent, parentSpan } = continueTrace(req.get('traceparent'));
  Object.assign(res.locals, { requestId, traceparent, parentSpan, startedAt: performance.now() });
  res.set({ 'X-Request-Id': requestId, traceparent });
  next();
}

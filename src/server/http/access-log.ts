import type { NextFunction, Request, Response } from 'express';
import type { Logger } from '../../base/logger.js';

export interface AnsweredRequest {
  readonly method: string;
  /** Path of the route as documented, `none` for an unknown path. */
  readonly route: string;
  /** 499 where the client closed the connection before the answer was complete. */
  readonly status: number;
  readonly seconds: number;
  readonly requestId: string;
  readonly traceparent: string;
  /** Span of the caller, where the request names one. */
  readonly parentSpan: string | undefined;
}

/**
 * Logs one line for each answer, with the path of the route. Query, headers and body are not logged: they can contain
 * secrets.
 */
export function createAccessLog(
  log: Logger,
  onAnswer: (request: AnsweredRequest) => void,
): (req: Request, res: Response, next: NextFunction) => void {
  return (req, res, next) => {
    res.on('close', () => {
      const route = (res.locals['route'] as string | undefined) ?? 'none';
      const seconds = (performance.now() - (res.locals['startedAt'] as number)) / 1000;
      const status = res.writableFinished ? res.statusCode : 499;
      const { requestId, traceparent, parentSpan } = res.locals as AnsweredRequest;
      onAnswer({ method: req.method, route, status, seconds, requestId, traceparent, parentSpan });
      log.info('request', {
        method: req.method,
        route,
        status,
        ms: Math.round(seconds * 1000),
        client: res.locals['client'],
        code: res.locals['code'],
        request_id: requestId,
        trace_id: traceparent.split('-')[1],
      });
    });
    next();
  };
}

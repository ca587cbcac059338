import type { NextFunction, Request, Response } from 'express';
import type { Logger } from '../../base/logger.js';

export interface AnsweredRequest {
  readonly method: string;
  /** The path of the route as it is described, `none` for a path without a route. */
  readonly route: string;
  /** 499 where the client went away before the end. */
  readonly status: number;
  readonly seconds: number;
  readonly requestId: string;
  readonly traceparent: string;
  /** The span of the caller, where it told one. */
  readonly parentSpan: string | undefined;
}

/** One line for every answer. The path of the route, never the query, headers or body: they may hold secrets. */
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

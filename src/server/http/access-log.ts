import type { NextFunction, Request, Response } from 'express';
import type { Logger } from '../../base/logger.js';
import type { Metrics } from '../metrics.js';

/**
 * One line and one count for every answer. The path of the route, never the query, headers or body: they may hold
 * secrets.
 */
export function createAccessLog(
  log: Logger,
  metrics: Metrics,
): (req: Request, res: Response, next: NextFunction) => void {
  return (req, res, next) => {
    res.on('close', () => {
      const route = (res.locals['route'] as string | undefined) ?? 'none';
      const seconds = (performance.now() - (res.locals['startedAt'] as number)) / 1000;
      const status = res.writableFinished ? res.statusCode : 499;
      metrics.requests.inc({ method: req.method, route, status: String(status) });
      metrics.duration.observe({ route }, seconds);
      log.info('request', {
        method: req.method,
        route,
        status,
        ms: Math.round(seconds * 1000),
        client: res.locals['client'],
        code: res.locals['code'],
        request_id: res.locals['requestId'],
        trace_id: String(res.locals['traceparent']).split('-')[1],
      });
    });
    next();
  };
}

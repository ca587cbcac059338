import type { Request, Response } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import { QalignError } from '../../base/errors.js';
import { LOCAL_ID, type RouteScope } from './client-key.js';

/** Rejects with RATE_LIMITED. `res.locals.clientId` is the id of the client. */
export type LimitRate = (req: Request, res: Response, scope: RouteScope) => Promise<void>;

/** Limits requests per minute for each key, or for each address without keys. Health checks are never limited. */
export function createRateLimit(perMinute: number): LimitRate {
  if (perMinute === 0) return async () => {};
  const limit = rateLimit({
    windowMs: 60_000,
    limit: perMinute,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    validate: false, // Proxies are not trusted: the address is that of the socket.
    keyGenerator: (req, res) =>
      res.locals['clientId'] === LOCAL_ID ? ipKeyGenerator(req.ip ?? '') : `key ${String(res.locals['clientId'])}`,
    handler: (_req, res) => {
      const seconds = Number(res.get('Retry-After') ?? 60);
      throw new QalignError(
        'RATE_LIMITED',
        `More than ${perMinute} requests a minute came with this key; try again in ${seconds} s.`,
        { details: { retry_after_s: seconds } },
      );
    },
  });
  return async (req, res, scope) => {
    if (scope === 'open') return;
    await new Promise<void>((resolve, reject) => {
      Promise.resolve(
        limit(req, res, (error?: unknown) => (error === undefined ? resolve() : reject(error as Error))),
      ).catch(reject);
    });
  };
}

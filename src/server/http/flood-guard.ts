import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { errorBody, finishBody } from './error-handler.js';
import type { Metrics } from '../metrics.js';

/** With fewer open requests a late event loop has other causes, such as parsing a large body or garbage collection. */
const FLOOD = 64;
/** The same limit while requests are refused after they were read. */
const FLOOD_WHILE_REFUSING = 8;
/** Limit of the event-loop delay: an admitted request waits for the event loop about ten times. */
const LATE_MS = 100;
/** The same limit while requests are refused after they were read. Refusing them without reading is cheaper. */
const LATE_WHILE_REFUSING_MS = 5;
const EVERY_MS = 10;
const SAY_EVERY_MS = 1_000;

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

export interface FloodGuardParts {
  readonly metrics: Pick<Metrics, 'rejects' | 'requests'>;
  readonly log: Logger;
  /** Seconds for Retry-After. */
  readonly waitS: () => number;
  /** True while requests are refused because of their deadline. */
  readonly refusing: () => boolean;
  /** Event-loop delay in ms; measured by default. */
  readonly lateMs?: () => number;
}

export interface FloodGuard {
  /** The handler behind the guard. */
  readonly handle: Handler;
  /**
   * The same for requests with `Expect: 100-continue`. The client is asked for the body only when it is read, so the
   * body of a refused request is never sent.
   */
  readonly handleExpecting: Handler;
  close(): void;
}

/**
 * Refuses requests without reading them while more arrive than one thread can read. Refusing costs far less than
 * reading. The indicator is event-loop delay, which affects all admitted requests. Only POST requests count and are
 * refused; health checks are answered.
 */
export function createFloodGuard(
  behind: Handler,
  { metrics, log, waitS, refusing, lateMs }: FloodGuardParts,
): FloodGuard {
  let under = 0;
  let turned = 0;
  let tick = performance.now();
  let said = tick;
  const timer = setInterval(() => {
    tick = performance.now();
    if (turned === 0 || tick - said < SAY_EVERY_MS) return;
    log.warn('flooded', { refused_unread: turned });
    [turned, said] = [0, tick];
  }, EVERY_MS).unref();
  const isFlooded = (): boolean => {
    const [most, mostLateMs] = refusing() ? [FLOOD_WHILE_REFUSING, LATE_WHILE_REFUSING_MS] : [FLOOD, LATE_MS];
    return under > most && (lateMs?.() ?? performance.now() - tick - EVERY_MS) > mostLateMs;
  };

  const refuse: Handler = (req, res) => {
    turned++;
    metrics.rejects.inc({ reason: 'FLOOD' });
    metrics.requests.inc({ method: req.method ?? '', route: 'unread', status: '429' });
    const wait = Math.max(1, Math.ceil(waitS()));
    const error = new QalignError(
      'OVERLOADED',
      `Requests arrive faster than the service can read them; try again in ${wait} s.`,
    );
    const requestId = randomUUID();
    finishBody(req);
    res
      .writeHead(429, {
        'Content-Type': 'application/json; charset=utf-8',
        'Retry-After': wait,
        'X-Request-Id': requestId,
        'X-Content-Type-Options': 'nosniff',
      })
      .end(JSON.stringify(errorBody(error, requestId)));
  };
  const handle: Handler = (req, res) => {
    if (req.method !== 'POST') return behind(req, res); // Event streams last for hours.
    if (isFlooded()) return refuse(req, res);
    under++;
    res.once('close', () => under--);
    behind(req, res);
  };
  return {
    handle,
    handleExpecting(req, res) {
      continueWhenRead(req, res);
      handle(req, res);
    },
    close: () => clearInterval(timer),
  };
}

/** Sends 100 Continue at the first `_read`, which every consumer of a body calls. */
function continueWhenRead(req: IncomingMessage, res: ServerResponse): void {
  const read = req._read.bind(req);
  req._read = (size) => {
    req._read = read;
    if (!res.headersSent) res.writeContinue();
    read(size);
  };
}

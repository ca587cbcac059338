import type { IncomingMessage } from 'node:http';
import type { ErrorRequestHandler } from 'express';
import { QalignError, type ErrorCode } from '../../base/errors.js';
import { isDiskFull } from '../../base/files/unwritable.js';
import type { Logger } from '../../base/logger.js';
import type { ErrorAnswer } from '../../api/error.js';

/** Turns every error of a route into an answer with one sentence. Stack traces go to the log, under the request id. */
export function createErrorHandler(log: Logger, onReject: (code: ErrorCode) => void): ErrorRequestHandler {
  return (thrown: unknown, req, res, next) => {
    const error = toQalignError(thrown);
    const requestId = (res.locals['requestId'] as string | undefined) ?? '';
    res.locals['code'] = error.code;
    onReject(error.code);
    if (
      error.httpStatus >= 500 &&
      error.code !== 'NO_WORKER' &&
      error.code !== 'SHUTTING_DOWN' &&
      error.code !== 'DEADLINE_EXCEEDED'
    ) {
      log.error(error.message, {
        request_id: requestId,
        route: res.locals['route'],
        stack: (error.cause instanceof Error ? error.cause : error).stack,
      });
    }
    if (res.headersSent) return void res.destroy(); // The client sees a cut-off answer instead of a complete wrong one.
    if (res.destroyed) return next();
    for (const [name, value] of Object.entries(headersFor(error))) res.set(name, value);
    finishBody(req);
    // The route can have set the content type of the answer that failed.
    res.status(error.httpStatus).type('json').json(errorBody(error, requestId));
  };
}

/** Time in which the rest of a refused body is read and dropped. */
const LINGER_MS = 10_000;

/**
 * Reads the rest of a refused body, so that a client that is still sending receives the answer. Closing immediately
 * would reset the connection and lose the answer. After a long body, the connection is closed later.
 */
export function finishBody(req: IncomingMessage): void {
  if (req.complete) return;
  const { socket } = req;
  const cut = setTimeout(() => void (req.complete || socket.destroy()), LINGER_MS).unref();
  req.once('close', () => clearTimeout(cut));
  req.resume();
}

export function errorBody(error: QalignError, requestId: string): ErrorAnswer {
  const internal = error.code === 'INTERNAL' || error.code === 'WORKER_INTERNAL';
  const message = internal
    ? `The service failed with an internal error; its log has details for request ${requestId}.`
    : error.message;
  return { error: { code: error.code, message, retryable: error.retryable, request_id: requestId } };
}

function headersFor(error: QalignError): Record<string, string> {
  const retryAfter = error.details?.['retry_after_s'];
  if (typeof retryAfter === 'number') return { 'Retry-After': String(Math.max(1, Math.ceil(retryAfter))) };
  if (error.code === 'UNAUTHORIZED') return { 'WWW-Authenticate': 'Bearer realm="qalign", Basic realm="qalign"' };
  return error.httpStatus === 503 && error.retryable ? { 'Retry-After': '5' } : {};
}

/** Converts errors of Express and Node to codes of the registry. */
function toQalignError(thrown: unknown): QalignError {
  if (thrown instanceof QalignError) return thrown;
  const { status, message } = thrown as { status?: number; message?: string };
  const known = (as: ErrorCode, sentence: string): QalignError => new QalignError(as, sentence, { cause: thrown });
  if (isDiskFull(thrown)) return known('OUTPUT_UNWRITABLE', 'The disk of the service is full; try again later.');
  if (thrown instanceof URIError || (status !== undefined && status >= 400 && status < 500))
    return known('MALFORMED', `The request cannot be read: ${clip(message)}.`);
  return known('INTERNAL', thrown instanceof Error ? thrown.message : String(thrown));
}

const clip = (text = ''): string => text.replace(/\.$/, '').slice(0, 200);

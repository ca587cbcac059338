/**
 * The boundary of src/server/http: keys, limits, bodies, errors and streams of any route. It is independent of
 * models and jobs.
 */
import type { Request, Response } from 'express';
import type { Client } from './client-key.js';

/** A request as handlers see it: authorised, identified, with a signal that aborts when the client disconnects. */
export interface Caller<P = unknown, Q = unknown> {
  readonly req: Request;
  readonly res: Response;
  readonly params: P;
  readonly query: Q;
  readonly client: Client;
  readonly requestId: string;
  readonly traceparent: string;
  /** Time since the request arrived, in ms. */
  readonly ageMs: () => number;
  /** Aborts when the client disconnects. */
  readonly gone: AbortSignal;
  /** Sends JSON after checking it against the schema of the route for this status. */
  answer(status: number, body: unknown): void;
}

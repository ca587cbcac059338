/** The boundary of src/server/http: keys, limits, bodies, errors, streams of any route; it knows no models or jobs. */
import type { Request, Response } from 'express';
import type { Client } from './client-key.js';

/** One request as a handler sees it: checked, named, and with a signal that ends when the client goes away. */
export interface Caller<P = unknown, Q = unknown> {
  readonly req: Request;
  readonly res: Response;
  readonly params: P;
  readonly query: Q;
  readonly client: Client;
  readonly requestId: string;
  readonly traceparent: string;
  /** How long ago it came, in ms. */
  readonly ageMs: () => number;
  /** Aborted when the client is gone. */
  readonly gone: AbortSignal;
  /** Sends JSON after checking it against the route's schema of this status. */
  answer(status: number, body: unknown): void;
}

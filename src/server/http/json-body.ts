import express from 'express';
import type { Static, TObject } from 'typebox';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { deadline } from '../../base/first-signal.js';
import { encodingOf } from './body-stream.js';
import type { Caller } from './caller.js';
import { withMemory, type MemoryBudget } from './memory-budget.js';
import { requireValid } from './valid.js';

/** A JSON body, checked. @throws QalignError BODY_UNSUPPORTED, BODY_TOO_LARGE, MALFORMED, BODY_INVALID */
export async function readJson<S extends TObject>(
  call: Pick<Caller, 'req' | 'res' | 'ageMs' | 'gone'>,
  schema: S,
  config: ServeConfig,
): Promise<Static<S>> {
  const { req, res } = call;
  if (req.is('application/json') === false || req.is('application/json') === null)
    throw new QalignError(
      'BODY_UNSUPPORTED',
      `The route takes application/json, not "${(req.get('content-type') ?? 'nothing').slice(0, 100)}".`,
    );
  encodingOf(req);
  const parse = express.json({ limit: config.limits.body_mb * 1024 ** 2, type: 'application/json' });
  await inTime(
    call,
    config,
    () =>
      new Promise<void>((resolve, reject) =>
        parse(req, res, (error?: unknown) => (error instanceof Error ? reject(error) : resolve())),
      ),
  );
  return requireValid(schema, req.body, 'body');
}

/**
 * Hands a JSON body to `work`; its bytes count as memory of the service until that is over. @throws QalignError as
 * `readJson`, and OVERLOADED
 */
export async function withJson<S extends TObject, T>(
  call: Pick<Caller, 'req' | 'res' | 'ageMs' | 'gone'>,
  schema: S,
  { config, memory }: { readonly config: ServeConfig; readonly memory: MemoryBudget },
  work: (body: Static<S>) => Promise<T>,
): Promise<T> {
  const most = config.limits.body_mb * 1024 ** 2;
  // a packed body may be as large as any when it is unpacked
  const stated = encodingOf(call.req) === 'identity' ? Number(call.req.get('content-length') ?? most) : most;
  return withMemory(memory, Math.min(most, stated), async () => work(await readJson(call, schema, config)));
}

/**
 * A body that trickles in holds memory and a connection: what is not here when the request should be answered is not
 * waited for.
 */
export async function inTime<T>(
  { ageMs, gone }: Pick<Caller, 'ageMs' | 'gone'>,
  { request_ms: within }: ServeConfig,
  read: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, release } = deadline(
    within - ageMs(),
    () => new QalignError('DEADLINE_EXCEEDED', `The body did not arrive within ${within / 1000} s.`),
    gone,
  );
  try {
    const stopped = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as QalignError), { once: true }),
    );
    return await Promise.race([read(signal), stopped]);
  } finally {
    release();
  }
}

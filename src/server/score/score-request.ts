import express from 'express';
import type { Static, TObject } from 'typebox';
import { QalignError } from '../../base/errors.js';
import { deadline } from '../../base/first-signal.js';
import { withMemory } from '../http/memory-budget.js';
import { fromWords, requireValid, type Call } from '../route.js';
import { ScoreFields, type ItemSource } from '../../api/score.js';
import { readForm, type Upload } from '../http/upload.js';

/** What a request wants scored, however it was sent. */
export interface ScoreOrder extends ScoreFields {
  readonly items: readonly (ItemSource | Upload)[];
}

const isForm = (call: Pick<Call, 'req'>): boolean => call.req.is('multipart/form-data') !== false;

/** A JSON body, checked. @throws QalignError BODY_UNSUPPORTED, BODY_TOO_LARGE, MALFORMED, BODY_INVALID */
export async function readJson<S extends TObject>(
  call: Pick<Call, 'req' | 'res' | 'services' | 'ageMs' | 'gone'>,
  schema: S,
): Promise<Static<S>> {
  const { req, res, services } = call;
  if (req.is('application/json') === false || req.is('application/json') === null)
    throw new QalignError(
      'BODY_UNSUPPORTED',
      `The route takes application/json, not "${(req.get('content-type') ?? 'nothing').slice(0, 100)}".`,
    );
  const parse = express.json({ limit: services.config.limits.body_mb * 1024 ** 2, type: 'application/json' });
  await inTime(
    call,
    () =>
      new Promise<void>((resolve, reject) =>
        parse(req, res, (error?: unknown) => (error instanceof Error ? reject(error) : resolve())),
      ),
  );
  return requireValid(schema, req.body, 'body');
}

/**
 * Reads the body of a scoring request, hands it to `work`, and lets go of all it held afterwards. Pictures come as
 * files of a form, or in JSON as base64, URL or server path.
 */
export async function withOrder<T>(call: Call, schema: TObject, work: (order: ScoreOrder) => Promise<T>): Promise<T> {
  const { config, memory, spool } = call.services;
  if (!isForm(call)) {
    const most = config.limits.body_mb * 1024 ** 2;
    return withMemory(memory, Math.min(most, Number(call.req.get('content-length') ?? most)), async () =>
      work(checkCount(call, (await readJson(call, schema)) as unknown as ScoreOrder)),
    );
  }
  const limits = { files: config.limits.items, fileBytes: config.limits.upload_mb * 1024 ** 2, spool, memory };
  const form = await inTime(call, (signal) => readForm(call.req, limits, signal));
  try {
    if (form.files.length === 0)
      throw new QalignError('BODY_INVALID', 'The form has no file; add one, e.g. curl -F file=@photo.jpg.');
    return await work({ ...fromWords(ScoreFields, form.fields, 'form'), items: form.files });
  } finally {
    await form.discard();
  }
}

/**
 * A body that trickles in holds memory and a connection: what is not here when the request should be answered is not
 * waited for.
 */
async function inTime<T>(
  call: Pick<Call, 'ageMs' | 'services' | 'gone'>,
  read: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { request_ms: within } = call.services.config;
  const { signal, release } = deadline(
    within - call.ageMs(),
    () => new QalignError('DEADLINE_EXCEEDED', `The body did not arrive within ${within / 1000} s.`),
    call.gone,
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

function checkCount(call: Call, order: ScoreOrder): ScoreOrder {
  const most = call.services.config.limits.items;
  if (order.items.length > most)
    throw new QalignError(
      'BODY_TOO_LARGE',
      `The request has ${order.items.length} items; at most ${most} are taken at a time, more as a job (POST /v1/jobs).`,
    );
  return order;
}

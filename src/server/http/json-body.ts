import type { Request } from 'express';
import type { Static, TObject } from 'typebox';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import { deadline } from '../../base/first-signal.js';
import { chunksOf, encodingOf, unpackedBody } from './body-stream.js';
import type { Caller } from './caller.js';
import { taken, type MemoryBudget, type SharedMemory } from './memory-budget.js';
import { requireValid } from './valid.js';

type Call = Pick<Caller, 'req' | 'client' | 'ageMs' | 'gone'>;

/** Dependencies of reading a JSON body. */
export interface JsonServices {
  readonly config: ServeConfig;
  readonly memory: SharedMemory;
}

/**
 * Reads and validates a JSON body. @throws QalignError BODY_UNSUPPORTED, BODY_TOO_LARGE, MALFORMED, BODY_INVALID,
 * OVERLOADED, DEADLINE_EXCEEDED
 */
export const readJson = <S extends TObject>(call: Call, schema: S, services: JsonServices): Promise<Static<S>> =>
  withJson(call, schema, services, async (body) => body);

/**
 * Passes a JSON body to `work`. Its bytes count against the memory budgets of the service and of the client, from their
 * arrival until `work` ends. @throws QalignError as `readJson`
 */
export async function withJson<S extends TObject, T>(
  call: Call,
  schema: S,
  { config, memory }: JsonServices,
  work: (body: Static<S>) => Promise<T>,
): Promise<T> {
  const { req, client } = call;
  const charset = charsetOf(req);
  const most = config.limits.body_mb * 1024 ** 2;
  if (encodingOf(req) === 'identity' && Number(req.get('content-length') ?? 0) > most) throw tooLarge();
  const budget = memory.of(client.id);
  const held = { bytes: 0 };
  try {
    const text = await inTime(call, config, (signal) => readText(req, { most, charset, budget, held }, signal));
    return await work(requireValid(schema, parsed(text), 'body'));
  } finally {
    budget.give(held.bytes);
  }
}

interface TextRules {
  readonly most: number;
  readonly charset: string;
  readonly budget: MemoryBudget;
  readonly held: { bytes: number };
}

async function readText(
  req: Request,
  { most, charset, budget, held }: TextRules,
  signal: AbortSignal,
): Promise<string> {
  const body = unpackedBody(req, most);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of taken(chunksOf(body, most, signal), budget, held)) chunks.push(chunk);
  } catch (error) {
    if (!(error instanceof QalignError))
      throw new QalignError('MALFORMED', `The body cannot be read: ${(error as Error).message}.`, { cause: error });
    throw error.code === 'BODY_TOO_LARGE' ? tooLarge() : error;
  } finally {
    if (body !== req) body.destroy();
  }
  return new TextDecoder(charset).decode(Buffer.concat(chunks));
}

const tooLarge = (): QalignError =>
  new QalignError(
    'BODY_TOO_LARGE',
    'The JSON body is larger than the limit of the service; upload files as multipart/form-data.',
  );

const CHARSETS = ['utf-8', 'utf-16', 'utf-16le', 'utf-16be'];

function charsetOf(req: Request): string {
  const type = req.get('content-type') ?? 'nothing';
  if (req.is('application/json') === false || req.is('application/json') === null)
    throw new QalignError('BODY_UNSUPPORTED', `The route takes application/json, not "${type.slice(0, 100)}".`);
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(type)?.[1]?.toLowerCase() ?? 'utf-8';
  if (CHARSETS.includes(charset)) return charset;
  throw new QalignError(
    'BODY_UNSUPPORTED',
    `The body cannot be read: unsupported charset ${JSON.stringify(charset.slice(0, 50))}; send UTF-8.`,
  );
}

/** An empty body counts as `{}`; the schema reports what it lacks. */
function parsed(text: string): unknown {
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new QalignError('MALFORMED', `The body is not JSON: ${(cause as Error).message.slice(0, 200)}.`, { cause });
  }
  if (typeof value === 'object' && value !== null) return value;
  throw new QalignError('MALFORMED', 'The body must be a JSON object.');
}

/** A slow body holds memory and a connection, so it must arrive before the deadline of the request. */
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

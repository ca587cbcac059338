import { Transform, type Readable, type TransformCallback } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Request } from 'express';
import { QalignError } from '../../base/errors.js';

const DECODERS = { gzip: createGunzip, deflate: createInflate, br: createBrotliDecompress } as const;
type Encoding = keyof typeof DECODERS | 'identity';

/** How a body is packed. @throws QalignError BODY_UNSUPPORTED for what no route unpacks */
export function encodingOf(req: Request): Encoding {
  const encoding = (req.get('content-encoding') ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || Object.hasOwn(DECODERS, encoding)) return encoding as Encoding;
  throw new QalignError(
    'BODY_UNSUPPORTED',
    `The body is packed as ${JSON.stringify(encoding.slice(0, 50))}; send it with Content-Encoding ${Object.keys(DECODERS).join(', ')}, or as it is.`,
  );
}

/**
 * The body as it was before Content-Encoding. A packed one gives at most `most` bytes, so that a few bytes never become
 * more than the service takes. Its errors are MALFORMED and BODY_TOO_LARGE. Destroying it leaves the request readable.
 * @throws QalignError as `encodingOf`
 */
export function unpackedBody(req: Request, most: number): Readable {
  const encoding = encodingOf(req);
  if (encoding === 'identity') return req;
  const decoder = DECODERS[encoding]();
  const counted = new Transform({
    transform: atMost(most, `The body is larger than ${most} bytes when it is unpacked (${encoding}).`),
  });
  decoder.on('error', (cause) =>
    counted.destroy(
      new QalignError('MALFORMED', `The body is not ${encoding}, as its Content-Encoding says: ${cause.message}.`, {
        cause,
      }),
    ),
  );
  counted.on('close', () => {
    req.unpipe(decoder);
    decoder.destroy();
  });
  req.pipe(decoder).pipe(counted);
  return counted;
}

function atMost(most: number, message: string): (chunk: Buffer, encoding: string, done: TransformCallback) => void {
  let bytes = 0;
  return (chunk, _, done) => {
    bytes += chunk.length;
    if (bytes > most) done(new QalignError('BODY_TOO_LARGE', message));
    else done(null, chunk);
  };
}

/**
 * The chunks of a body, until `most` bytes are over or `signal` says why not; a sender that is slow holds nothing then.
 * @throws QalignError BODY_TOO_LARGE, or the reason of the signal
 */
export async function* chunksOf(body: Readable, most: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const stopped = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as QalignError), { once: true }),
  );
  stopped.catch(() => undefined); // heard by the race below, or by nobody after the end
  signal.throwIfAborted();
  const chunks = body.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer, undefined>;
  let bytes = 0;
  try {
    for (;;) {
      const next = chunks.next();
      next.catch(() => undefined);
      const { done, value } = await Promise.race([next, stopped]);
      if (done === true) return;
      bytes += value.length;
      if (bytes > most) throw new QalignError('BODY_TOO_LARGE', `The body is larger than ${most} bytes.`);
      yield value;
    }
  } finally {
    chunks.return?.().catch(() => undefined); // it listens no more, so that the rest can be read and dropped
  }
}
